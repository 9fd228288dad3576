"""The classifier of a data set as a LightningModule; its features measure generators."""

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules.classes import class_name, file_part
from datamodules.errors import DataError
from datamodules.schema import Batch, TokenBatch
from lightning_modules.metrics.classification import ClassifierMetrics
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import Pictures, sheet
from lightning_modules.training.base import TrainingModule
from lightning_modules.training.checks import check_warmup
from lightning_modules.training.ema import averaged_copy
from lightning_modules.training.image_jitter import Jitter
from lightning_modules.training.optimization import OptimizerSettings
from lightning_modules.training.rng import Purpose
from models.classifier import SmallClassifier

UNLABELLED = -1


class ClassifierTraining(TrainingModule):
    """Trains a classifier of the data set's classes.

    Args:
        classifier: images to class logits.
        max_images: images to train on; the learning rate ends there and `StopAfterImages` stops.
        jitter: how training images are changed.
        optimizer: of the classifier.
        ema_half_life: of the averaged weights, in images; they validate and are used.
        seed: of the jitter.
    """

    headline = ("val/accuracy", "val accuracy {:.3f}")
    protocol = (
        "whole validation split, averaged weights, images as they are stored: accuracy is the "
        "share of labelled images whose class is the most probable one, class_accuracy its mean "
        "over classes, cross_entropy in nats"
    )
    classifier: SmallClassifier
    ema: SmallClassifier
    checkpoint_format = 2

    def __init__(
        self,
        classifier: SmallClassifier,
        max_images: int = 1_000_000,
        jitter: Jitter = Jitter(),
        optimizer: OptimizerSettings = OptimizerSettings(lr=2e-3, weight_decay=0.05),
        ema_half_life: float = 2_000.0,
        seed: int = 0,
    ) -> None:
        super().__init__(max_images, ema_half_life, seed)
        check_warmup(optimizer, max_images)
        self.classifier, self.ema = classifier, averaged_copy(classifier)
        self.jitter, self.optimizer = jitter, optimizer
        self.metrics = ClassifierMetrics(classifier.classes)

    def setup(self, stage: str) -> None:
        """Refuse data of other classes.

        Raises:
            DataError: one sentence with both numbers, and the knob.
        """
        names = self.class_names()
        if len(names) != self.classifier.classes:
            raise DataError(
                f"The classifier tells {self.classifier.classes} classes apart, the data have "
                f"{len(names)}: set `model.classifier.classes` to the number in the data (at "
                "least 2)."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One batch: jitter, logits, loss, step."""
        rng = self.step_rng(Purpose.VIEWS, self.global_rank)
        logits = self.classifier(self.jitter.apply(batch.float_image(), rng))
        # Of the images with a label alone: a batch may have none.
        labels = batch.label.clamp(min=UNLABELLED)
        total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=UNLABELLED)
        count = (labels >= 0).sum().clamp(min=1)
        norm = self.step_optimizer(self.optimizer_list()[0], self.optimizer, total / count)
        right = (logits.argmax(1) == batch.label).sum() / count
        self.count_images(len(batch), self.classifier, self.ema)
        return {
            "loss/total": total.detach() / count,
            "train/accuracy": right,
            "train/grad_norm": norm,
        }

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Classify whole images with the averaged weights."""
        self.metrics.update(self.ema(batch.float_image()), batch.label)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, equal on all ranks."""
        values = self.metrics.compute()
        self.log_dict({f"val/{name}": value for name, value in values.items()}, logger=False)
        self.metrics.reset()

    def metric_names(self) -> tuple[str, ...]:
        """Names of the validation metrics."""
        return ("accuracy", "class_accuracy", "cross_entropy")

    def trained(self) -> SmallClassifier:
        """The classifier."""
        return self.classifier

    def whole_average(self) -> SmallClassifier:
        """The averaged classifier."""
        return self.ema

    def pictures(self, average: nn.Module, probe: Batch | TokenBatch, count: int) -> list[Pictures]:
        """A column of images, each with its class and the one it was taken for."""
        assert isinstance(probe, Batch)
        images, names = probe.float_image(), self.class_names()
        shares, guesses = average(images).float().softmax(1).max(1)
        rows = [
            f"{class_name(label, names)}: {class_name(guess, names)} {share:.2f}"
            for label, guess, share in zip(
                probe.label.tolist(), guesses.tolist(), shares.tolist(), strict=True
            )
        ]
        return [Pictures("guesses", [labelled(sheet([images]), rows)])]

    def configure_optimizers(self) -> list[Optimizer]:
        """The one optimiser."""
        return [self.optimizer.build(self.classifier)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store progress, the recipe, and the data set's name and classes."""
        super().on_save_checkpoint(checkpoint)
        datamodule = self._datamodule()
        root = "" if datamodule is None else datamodule.root
        checkpoint["data_name"] = file_part(Path(root).name) or "data"
        checkpoint["classes"] = self.class_names()
