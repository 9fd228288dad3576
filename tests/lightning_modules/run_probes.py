"""Callbacks and a module that runs started by the tests name in their configuration."""

import json
import signal
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from datamodules.schema import Batch
from lightning_modules.adversarial.gan_views import Judged, render_judged
from lightning_modules.gan import GAN
from lightning_modules.stage1 import Stage1
from lightning_modules.stage1_rays import Pixels
from lightning_modules.stage2 import Stage2
from lightning_modules.training.rng import Purpose
from models.scenes import Scenes
from renderers.cameras import Camera


class KeyLog(Callback):
    """Writes the keys of every training batch of a launch, `keys-RANK.json` in `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder, self.keys = Path(folder), []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        self.keys.append(list(batch.keys))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"keys-{trainer.global_rank}.json").write_text(json.dumps(self.keys))


class RankState(Callback):
    """Writes the final weights and the count of revived codes of each rank, `rank-RANK.pt`."""

    def __init__(self, folder: str) -> None:
        self.folder, self.revived = Path(folder), 0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: dict[str, Tensor],
        batch: Batch,
        index: int,
    ) -> None:
        self.revived += int(outputs["codebook/revived"])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {"weights": pl_module.state_dict(), "revived": self.revived}
        torch.save(state, self.folder / f"rank-{trainer.global_rank}.pt")


class Signpost(Callback):
    """Leaves the file `seen-RANK` in `folder` when a run has seen so many images, and may make it
    wait there for being killed."""

    def __init__(self, images: int, folder: str, hold: bool = False) -> None:
        self.images, self.folder, self.hold = images, Path(folder), hold

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        if pl_module.images_seen >= self.images:
            (self.folder / f"seen-{trainer.global_rank}").touch()
            while self.hold:
                signal.pause()


class Signalled(Callback):
    """Sends a run's own process a signal, so many times, in the batch after so many images."""

    def __init__(self, images: int, number: int, times: int = 1) -> None:
        self.images, self.number, self.times = images, number, times

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        if pl_module.images_seen == self.images:
            for _ in range(self.times):
                signal.raise_signal(self.number)


class Exploding(Callback):
    """Multiplies all weights once a run has seen so many images."""

    def __init__(self, images: int, factor: float) -> None:
        self.images, self.factor = images, factor

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if pl_module.images_seen == self.images:
            for parameter in pl_module.parameters():
                parameter *= self.factor


def fused_sgd(network: nn.Module) -> SGD:
    """Plain gradient descent that heeds `found_inf`."""
    return SGD(network.parameters(), lr=0.0, fused=True)


class DealtStage1(Stage1):
    """Stage 1 whose random numbers belong to the images, not to the ranks that hold them.

    Rank r of R holds every R-th image of the global batch from the r-th on, and takes the pixels
    and novel views that one process would have drawn for these. What depends on one rank's images
    or magnifies rounding is left out: sample jitter, the calibration on rank 0's images, and Adam,
    which divides gradients by themselves.
    """

    def step_rng(self, purpose: Purpose, rank: int) -> torch.Generator | None:
        return None if purpose is Purpose.VIEWS else super().step_rng(purpose, rank)

    def _calibrate(self, batch: Batch) -> None:
        """Leave the quantiser as it was built."""

    def _draw_views(
        self, batch: int, weights: dict[str, float], rng: None
    ) -> tuple[Pixels, Camera | None]:
        world = dist.get_world_size() if dist.is_initialized() else 1
        shared = super().step_rng(Purpose.VIEWS, rank=0)
        pixels, novel = super()._draw_views(batch * world, weights, shared)
        own = slice(self.global_rank, None, world)
        assert pixels.patch is not None
        assert novel is not None
        return Pixels(pixels.grid[own], pixels.patch[own]), novel[own]

    def configure_optimizers(self) -> list[Optimizer]:
        return [fused_sgd(part) for part in (self.autoencoder, self.adversaries)]


class RankWeights(Callback):
    """Writes the final weights of each rank, `rank-RANK.pt` in `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(pl_module.state_dict(), self.folder / f"rank-{trainer.global_rank}.pt")


class SteadyStage2(Stage2):
    """Stage 2 with an Adam that does not magnify the rounding of gradients which should be zero,
    e.g. of the biases of keys."""

    def configure_optimizers(self) -> list[Optimizer]:
        (optimizer,) = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["eps"] = 1e-3
        return [optimizer]


class PoisonedPrior(Callback):
    """Makes a gradient of the prior NaN once 8 images were seen."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        if pl_module.images_seen == 8:
            pl_module.prior.head.bias.register_hook(lambda gradient: gradient * torch.nan)


class DealtGAN(GAN):
    """A GAN whose latents and views belong to the images, not to the ranks that hold them; see
    `DealtStage1`."""

    def step_rng(self, purpose: Purpose, rank: int) -> torch.Generator:
        return super().step_rng(purpose, rank=0)

    def _latents(self, count: int, rng: torch.Generator) -> Tensor:
        return super()._latents(count * self._world, rng)[self._own]

    def _look(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        directions, cells = super()._look(labels.repeat(self._world), rng)  # of one class
        return directions[self._own], None if cells is None else cells[self._own]

    def _views(self, scenes: Scenes, directions: Tensor, rng: torch.Generator) -> Judged:
        cameras = self.generator.views.cameras(directions)
        return render_judged(scenes, cameras, self.generator.resolution, 8, None)

    @property
    def _world(self) -> int:
        return dist.get_world_size() if dist.is_initialized() else 1

    @property
    def _own(self) -> slice:
        return slice(self.global_rank, None, self._world)

    def configure_optimizers(self) -> list[Optimizer]:
        return [fused_sgd(part) for part in (self.generator, self.adversary)]


class PoisonedGAN(Callback):
    """Makes a gradient of one of a GAN's networks NaN once 8 images were seen."""

    def __init__(self, network: str) -> None:
        self.network = network

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        if pl_module.images_seen == 8:
            parameter = next(getattr(pl_module, self.network).parameters())
            parameter.register_hook(lambda gradient: gradient * torch.nan)
