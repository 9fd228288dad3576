"""A network that sees depth in one photograph as a LightningModule, for `wild3d label depth`."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from datamodules.classes import file_part
from datamodules.errors import DataError, check_number
from datamodules.modalities import DEPTH
from datamodules.schema import Batch, TokenBatch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.losses.monocular import disparity_loss, edge_loss, normalized_disparity
from lightning_modules.metrics.depth import aligned_disparity, depth_accuracy
from lightning_modules.metrics.image import masked_correlation
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import Pictures, colorize, sheet
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.checks import check_warmup
from lightning_modules.training.ema import averaged_copy
from lightning_modules.training.image_jitter import Jitter
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose
from models.depth_network import SmallDepthNetwork


class DepthTraining(TrainingModule):
    """Trains a network to see the disparity of photographs whose depth is known.

    Args:
        network: images to disparity.
        max_images: images to train on; the learning rate ends there and `StopAfterImages` stops.
        edge_weight: of the loss of gradients, beside 1 of that of values.
        jitter: how colours and sharpness of training images are changed; mirroring is the data's.
        optimizer: of the network.
        ema_half_life: of the averaged weights, in images; they validate and are used.
        seed: of the jitter.
    """

    headline = ("val/correlation", "val correlation {:.3f}")
    protocol = (
        "whole validation split, averaged weights, images as they are stored: correlation is the "
        "mean over images of Pearson's r of predicted and given disparity over known pixels, "
        "delta_1.25 the mean share of them whose depth is within a ratio of 1.25 after the best "
        "factor and offset of each image's disparity"
    )
    network: SmallDepthNetwork
    ema: SmallDepthNetwork

    def __init__(
        self,
        network: SmallDepthNetwork,
        max_images: int = 1_000_000,
        edge_weight: float = 0.5,
        jitter: Jitter = Jitter(mirror=False, shift=0.0),
        optimizer: OptimizerSettings = OptimizerSettings(lr=1e-3, weight_decay=0.05),
        ema_half_life: float = 2_000.0,
        seed: int = 0,
    ) -> None:
        super().__init__(max_images, ema_half_life, seed)
        check_warmup(optimizer, max_images)
        check_number("model.edge_weight", edge_weight, 0, 1000)
        if jitter.mirror or jitter.shift:
            raise DataError(
                "jitter moves images away from their depth: set `model.jitter.mirror` to false and "
                "`model.jitter.shift` to 0; `data.flip` mirrors both."
            )
        self.network, self.ema = network, averaged_copy(network)
        self.edge_weight, self.jitter, self.optimizer = edge_weight, jitter, optimizer
        self.correlation, self.accuracy = (MeanMetric(nan_strategy="ignore") for _ in range(2))

    def setup(self, stage: str) -> None:
        """Refuse data without depth.

        Raises:
            DataError: one sentence with the knob.
        """
        data = self._datamodule()
        if isinstance(data, ShardDataModule) and DEPTH not in data.modalities:
            raise DataError("Depth is learned from depth, which is not loaded: set `data.depth`.")

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One batch: jitter, disparity, losses, step."""
        rng, known = self.step_rng(Purpose.VIEWS, self.global_rank), batch.disparity_known()
        found = self.network(self.jitter.apply(batch.float_image(), rng))
        seen, given = (normalized_disparity(x, known) for x in (found, batch.disparity()))
        values, edges = disparity_loss(seen, given, known), edge_loss(seen, given, known)
        total = values + self.edge_weight * edges
        norm = self.step_optimizer(self.optimizer_list()[0], self.optimizer, total)
        self.count_images(len(batch), self.network, self.ema)
        return {
            "loss/total": total.detach(),
            "loss/values": values.detach(),
            "loss/edges": edges.detach(),
            "train/grad_norm": norm,
        }

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure the averaged network."""
        found, given, known = (
            x.flatten(1)
            for x in (self.ema(batch.float_image()), batch.disparity(), batch.disparity_known())
        )
        self.correlation.update(masked_correlation(found, given, known))
        self.accuracy.update(depth_accuracy(aligned_disparity(found, given, known), given, known))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, equal on all ranks."""
        measured = {"correlation": self.correlation, "delta_1.25": self.accuracy}
        self.log_dict({f"val/{name}": m.compute() for name, m in measured.items()}, logger=False)
        for metric in measured.values():
            metric.reset()

    def metric_names(self) -> tuple[str, ...]:
        """Names of the validation metrics."""
        return ("correlation", "delta_1.25")

    def trained(self) -> SmallDepthNetwork:
        """The network."""
        return self.network

    def whole_average(self) -> SmallDepthNetwork:
        """The averaged network."""
        return self.ema

    def pictures(self, average: nn.Module, probe: Batch | TokenBatch, count: int) -> list[Pictures]:
        """Columns of images, their disparity as it is seen, and as it is given."""
        assert isinstance(probe, Batch)
        images, given, known = probe.float_image(), probe.disparity(), probe.disparity_known()
        columns = [images, colorize(average(images)), colorize(given, known)]
        rows = list(probe.keys)
        return [Pictures("depth", [labelled(sheet(columns), rows, ("image", "seen", "given"))])]

    def configure_optimizers(self) -> list[Optimizer]:
        """The one optimiser."""
        return [self.optimizer.build(self.network)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store progress, the recipe, and the name of the data set."""
        super().on_save_checkpoint(checkpoint)
        datamodule = self._datamodule()
        root = "" if datamodule is None else datamodule.root
        checkpoint["data_name"] = file_part(Path(root).name) or "data"
