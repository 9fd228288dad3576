"""The score of a GAN while it is trained: likeness to the training images, and flatness."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from datamodules.augment import Framing
from datamodules.errors import check_number
from datamodules.shard_datamodule import ShardDataModule
from datamodules.stream_datamodule import StreamDataModule
from lightning_modules.evaluation.flatness import view_flatness
from lightning_modules.evaluation.generator_score import GeneratorScore, open_score
from lightning_modules.inference.gan_scenes import GANScenes
from models.wildgan import WildGAN

DRAWN_AT_ONCE = 32


@dataclass(frozen=True)
class ScoreSettings:
    """Settings of a generator's score while it is trained, against the training images.

    features: network whose features are compared: checkpoint of a classifier (`make classifier`),
    inception, torchvision:NAME, transformers:NAME or transformers:FOLDER; null for no KID. images:
    generated for a score. features_weights: file of the weights of inception, or of torchvision's
    network, by default that in torch's cache. cache: folder of the training images' features, by
    default features/ in the root of the data.

    Raises DataError for a number outside its range.
    """

    features: str | None = None
    images: int = 1000
    features_weights: str | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        """Check the number."""
        check_number("images", self.images, 2, 10_000_000)


class GANScore:
    """Draws images, takes their features in, and measures how flat they are."""

    def __init__(self, settings: ScoreSettings) -> None:
        self.settings = settings
        self._kid: GeneratorScore | None = None

    def open(
        self, datamodule: StreamDataModule[Any] | None, resolution: int, device: torch.device
    ) -> None:
        """Load the network and the features of the training images, computing them on a device if
        need be.

        Raises:
            FileNotFoundError, DataError: one sentence with what is missing, and the knob.
        """
        settings = self.settings
        if settings.features is None or datamodule is None:
            return
        framing = datamodule.framing if isinstance(datamodule, ShardDataModule) else Framing()
        self._kid = open_score(
            settings.features,
            datamodule.root,
            resolution,
            settings.images,
            cache=settings.cache,
            features_weights=settings.features_weights,
            device=device,
            num_workers=datamodule.num_workers,
            framing=framing,
        )

    @torch.no_grad()
    def draw(self, model: WildGAN, trainer: Trainer) -> Tensor:
        """Non-flatness of the images that this process draws, the others drawing theirs; on a GPU
        in the precision of the training, else in float32."""
        drawer, flatness = GANScenes("", model), []
        on_gpu = trainer.strategy.root_device.type == "cuda"
        drawing = trainer.precision_plugin.val_step_context if on_gpu else nullcontext
        pairs = self._pairs(model.classes, trainer.global_rank, trainer.world_size)
        for start in range(0, len(pairs), DRAWN_AT_ONCE):
            labels, seeds = zip(*pairs[start : start + DRAWN_AT_ONCE], strict=True)
            with drawing():
                scenes, side = drawer.generate(labels, seeds), drawer.resolution
                view = scenes.view(drawer.cameras(scenes, labels, seeds), side, side)
            flatness.append(view_flatness(view))
            if self._kid is not None:
                self._kid.update(view.rgb)
        return torch.cat(flatness) if flatness else torch.zeros(0, dtype=torch.float64)

    def distance(self) -> Tensor | None:
        """KID of what all processes have drawn since the last time; None without a network."""
        if self._kid is None:
            return None
        found: Tensor = self._kid.compute()
        self._kid.reset()
        return found

    def facts(self) -> dict[str, str]:
        """The network whose features are compared."""
        return {} if self._kid is None else {"kid_features": self._kid.network.name}

    def _pairs(self, classes: int, rank: int, world: int) -> list[tuple[int, int]]:
        """Label and seed of every image that process `rank` of `world` is to draw."""
        if self._kid is not None:
            return self._kid.wanted(classes, rank, world)
        seeds = range(rank, self.settings.images, world)
        return [(seed % max(1, classes), seed) for seed in seeds]
