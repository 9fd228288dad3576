"""Scenes that a GAN draws from latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from datamodules.augment import Framing
from datamodules.classes import ALL, class_labels, scene_name
from datamodules.errors import DataError, counted
from lightning_modules.inference.checkpoint_file import Checkpoint
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_choice import Passage, SceneChoice, distinct_seeds
from lightning_modules.inference.scene_maker import DrawnScenes, SceneDrawer, SceneMaker
from models.autoencoder import CanonicalView
from models.scenes import Scenes
from models.wildgan import WildGAN
from renderers.cameras import Camera

CAMERA_SEED = 1 << 32
"""Added to the seed of a scene, for that of the camera it is measured from."""

PASSAGE_SEEDS = (0, 1)
"""Of the ends of a passage by default."""


class GANMaker(SceneMaker):
    """Makes scenes with a GAN, which has neither a stage-1 model nor tokens."""

    @property
    def autoencoder(self) -> NoReturn:
        """Raise DataError."""
        raise self._no_stage1()

    def token_drawer(self, purpose: str) -> NoReturn:
        """Raise DataError."""
        raise self._no_stage1()

    def _no_stage1(self) -> DataError:
        return DataError(
            f"{self.checkpoint} is of a GAN, which makes scenes neither of photographs in one pass "
            "nor of tokens: fit it to a photograph with `wild3d invert`, or name a stage-1 "
            "checkpoint."
        )


@dataclass(frozen=True)
class GANScenes(SceneDrawer, GANMaker):
    """Scenes that a GAN draws.

    names: of the classes, as far as they are known; options: `truncation` is that of the latents,
    see `WildGAN.mapped`; framing: of the photographs it was trained on.
    """

    checkpoint: str
    model: WildGAN
    names: tuple[str, ...] = ()
    options: SamplingOptions = SamplingOptions()
    framing: Framing = Framing()

    @staticmethod
    def opened(opened: Checkpoint, model: WildGAN, options: SamplingOptions) -> "GANScenes":
        """Those of an open checkpoint, drawn as the options say.

        Raises:
            DataError: an option is one of tokens, or the truncation is below 0.
        """
        checkpoint = str(opened.path)
        of_tokens = {name: value for name, value in options.given.items() if name != "truncation"}
        check_unused(of_tokens, f"{checkpoint} is of a GAN, which draws no tokens")
        truncation = options.truncation
        if truncation is not None and not truncation >= 0:
            raise DataError(
                f"truncation is {truncation}, it must be at least 0: change --truncation."
            )
        framing = opened.part("framing", Framing, Framing())
        names = opened.part("classes", tuple[str, ...])
        return GANScenes(checkpoint, model, names, options, framing)

    @property
    def view(self) -> CanonicalView:
        """The middle of the views of its training."""
        return self.model.views.canonical()

    @property
    def classes(self) -> int:
        """Number of classes of the GAN."""
        return self.model.classes

    @property
    def resolution(self) -> int:
        """Side of its images in pixels."""
        return self.model.resolution

    @property
    def viewpoints(self) -> str:
        """The distribution of views of its training, in words."""
        views = self.model.views
        spread = "uniform in area" if self.model.view_prior is None else "as learned of each class"
        return (
            f"yaw {views.yaw_degrees}, pitch {views.pitch_degrees} degrees, {spread}, turned by "
            f"{views.perturbation_degrees}, radius {views.radius}, field of view "
            f"{views.fov_degrees} degrees"
        )

    @property
    def _device(self) -> torch.device:
        return self.model.field.out.weight.device

    def judged_views(self, count: int) -> Camera:
        """Cameras (count,) spread over the views that its training judges."""
        return self.model.views.around(count)

    @torch.no_grad()
    def cameras(self, scenes: Scenes, labels: Sequence[int], seeds: Sequence[int]) -> Camera:
        """Cameras (B,) drawn as in training, those of a label and a seed alike in every batch."""
        drawn = []
        for label, seed in zip(self._labels(labels), seeds, strict=True):
            rng = torch.Generator(self._device).manual_seed(CAMERA_SEED + seed)
            drawn.append(self.model.directions(label[None], 1, rng)[:, 0])
        return self.model.views.cameras(torch.cat(drawn))

    @torch.no_grad()
    def mapped(self, labels: Sequence[int], seeds: Sequence[int]) -> Tensor:
        """Mapped latents (B, W) of labels and seeds, truncated."""
        truncation = 1.0 if self.options.truncation is None else self.options.truncation
        return self.model.mapped(self._labels(labels), seeds, truncation)

    @torch.no_grad()
    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """B scenes of labels and seeds."""
        return self.model.scenes(self.mapped(labels, seeds))

    def draw(self, cells: Sequence[tuple[int, int]], batch_size: int | None = None) -> DrawnScenes:
        """Scenes of labels and seeds, each drawn when it is made."""
        why = f"{self.checkpoint} is of a GAN, which draws no tokens"
        check_unused({"batch_size": batch_size}, why)

        def scene_at(number: int) -> Scenes:
            label, seed = cells[number]
            return self.generate([label], [seed])

        return DrawnScenes(scene_at)

    def check_labels(self, labels: Sequence[int]) -> None:
        """DataError if a class is left unknown, which this GAN was not trained for."""
        if self.classes and -1 in labels:
            raise DataError(
                f"{self.checkpoint} is of a GAN that draws scenes of a class only: name classes "
                "instead of any, or all."
            )

    def unnamed(self) -> DataError:
        """The error where a class must be named and none is."""
        return DataError(f"{self.checkpoint} is of a GAN: give --classes and --seeds.")

    def between(self, choice: SceneChoice) -> Passage:
        """The passage between scenes of two classes, seeds or both, along the line between their
        mapped latents.

        Raises:
            DataError: they are not two, or no class is named where there are some.
        """
        if choice.images:
            return super().between(choice)
        if self.classes and not choice.classes:
            raise DataError(f"{self.checkpoint} is of a GAN: give one or two --classes.")
        labels = class_labels(choice.classes or [ALL], self.classes, self.names)
        self.check_labels(labels)
        seeds = distinct_seeds(PASSAGE_SEEDS if choice.seeds is None else choice.seeds)
        if max(len(labels), len(seeds)) != 2:
            raise DataError(
                f"{counted(len(labels), 'class', 'classes')} and {counted(len(seeds), 'seed')} are "
                "given: interpolation is between two of either, or of both."
            )
        ends = [(labels[end % len(labels)], seeds[end % len(seeds)]) for end in (0, 1)]
        first, second = self.mapped(*zip(*ends, strict=True)).split(1)
        start, goal = (scene_name(label, seed, self.names) for label, seed in ends)

        def scene_at(share: float) -> Scenes:
            return self.model.scenes(torch.lerp(first, second, share))

        return Passage((start, goal), scene_at, tuple(seeds))

    def _labels(self, labels: Sequence[int]) -> Tensor:
        # Without classes labels are -1 and not looked at.
        return torch.tensor(list(labels), device=self._device).clamp_min(0)
