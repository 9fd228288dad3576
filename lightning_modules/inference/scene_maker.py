"""Scene makers: what tools and evaluation need of a system, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from rich.progress import track
from torch import Tensor

from datamodules.augment import Framing
from datamodules.classes import ALL, class_labels, scene_name
from datamodules.errors import DataError
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_choice import (
    Passage,
    SceneChoice,
    WantedScene,
    distinct_seeds,
    photo_scenes,
    photos_passage,
    stored_scenes,
)
from lightning_modules.inference.token_files import TokenScenes
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.scenes import Scenes
from renderers.cameras import Camera

BATCH_SIZE = 16
"""Scenes whose tokens are drawn at once by default."""


class SceneMaker(ABC):
    """Makes scenes with what a checkpoint holds; what it can't do it says in one sentence.

    checkpoint: path as the user gave it, for errors; options: how scenes are drawn.
    """

    checkpoint: str
    options: SamplingOptions

    @property
    @abstractmethod
    def view(self) -> CanonicalView:
        """The camera that scenes are made for."""

    @property
    @abstractmethod
    def autoencoder(self) -> TokenAutoencoder:
        """The stage-1 model, from photographs and tokens to scenes; DataError if there is none."""

    @abstractmethod
    def drawer(self) -> SceneDrawer:
        """This maker as one that draws scenes; DataError if it draws none."""

    @abstractmethod
    def token_drawer(self, purpose: str) -> TokenDrawer:
        """This maker as one that draws tokens; DataError, which names the purpose, if not."""

    def wanted(self, choice: SceneChoice) -> list[WantedScene]:
        """The scenes of a choice, in its order.

        Raises:
            FileNotFoundError: there is no file of tokens where one is named.
            DataError: nothing is chosen, or in several ways, or with options that would do nothing,
                or this system can't make what is.
        """
        choice.check(self.options)
        if choice.images:
            return photo_scenes(self.autoencoder, choice.images)
        if choice.tokens:
            return stored_scenes(self.autoencoder, self.checkpoint, choice.tokens, choice.rows)
        return self.drawn(choice)

    def drawn(self, choice: SceneChoice) -> list[WantedScene]:
        """Scenes of the classes and seeds of a choice; DataError if it draws none."""
        return self.drawer().drawn(choice)

    def between(self, choice: SceneChoice) -> Passage:
        """The passage from one scene of a choice to another: by default of two photographs.

        Raises:
            DataError: the scenes are not two, or not what this system can go between.
        """
        model, drawn = self.autoencoder, {"classes": choice.classes or None, "seeds": choice.seeds}
        check_unused(
            drawn | {"truncation": self.options.truncation}, "only of a GAN are scenes drawn"
        )
        return photos_passage(model, choice.images)


@dataclass(frozen=True)
class DrawnScenes:
    """Scenes of labels and seeds.

    scene_at: makes the scene (1) of a number; tokens: what they are stored as, None where scenes
    are not drawn as tokens.
    """

    scene_at: Callable[[int], Scenes]
    tokens: TokenScenes | None = None


class SceneDrawer(SceneMaker):
    """Draws scenes of classes and seeds; a label of -1 stands for any class.

    names: of the classes, in the order of their labels, as far as they are known.
    """

    names: tuple[str, ...]

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes, 0 for none."""

    @property
    @abstractmethod
    def resolution(self) -> int:
        """Side in pixels of the images it was trained for."""

    @property
    def framing(self) -> Framing:
        """Cut of the photographs of its training."""
        return Framing()

    @property
    def viewpoints(self) -> str:
        """From where `cameras` look, in words: metrics of other cameras can't be compared."""
        return "canonical view"

    @abstractmethod
    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """B scenes of labels and seeds; equal ones are equal scenes in every batch."""

    @abstractmethod
    def draw(self, cells: Sequence[tuple[int, int]], batch_size: int | None = None) -> DrawnScenes:
        """Scenes of labels and seeds, of which tokens are drawn `batch_size` at once.

        Raises:
            DataError: a batch size is given, and there are no tokens.
        """

    @abstractmethod
    def judged_views(self, count: int) -> Camera:
        """Cameras (count,) spread over the views that its training judges."""

    @abstractmethod
    def check_labels(self, labels: Sequence[int]) -> None:
        """DataError if scenes of these labels can't be drawn, or an option does nothing for
        them."""

    @abstractmethod
    def unnamed(self) -> DataError:
        """The error where a class must be named and none is."""

    def cameras(self, scenes: Scenes, labels: Sequence[int], seeds: Sequence[int]) -> Camera:
        """Cameras (B,) or (1,) that B scenes of labels and seeds are measured from."""
        return scenes.canonical

    def drawer(self) -> SceneDrawer:
        """This maker."""
        return self

    def drawn(self, choice: SceneChoice) -> list[WantedScene]:
        """Scenes of the classes and seeds of a choice, by default seed 0."""
        if self.classes and not choice.classes:
            raise self.unnamed()
        labels = class_labels(choice.classes or [ALL], self.classes, self.names)
        self.check_labels(labels)
        seeds = distinct_seeds((0,) if choice.seeds is None else choice.seeds)
        return [self._wanted_scene(label, seed) for label, seed in product(labels, seeds)]

    def _wanted_scene(self, label: int, seed: int) -> WantedScene:
        name = scene_name(label, seed, self.names)
        return WantedScene(name, lambda: self.generate([label], [seed]), (seed,))


class TokenDrawer(SceneDrawer):
    """Draws scenes as tokens, which its stage-1 model decodes."""

    @abstractmethod
    def tokens(
        self, labels: Sequence[int], seeds: Sequence[int], given: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, T) of labels and seeds; those of `given` (B, T) that are not `TO_SAMPLE` are
        kept."""

    def token_drawer(self, purpose: str) -> TokenDrawer:
        """This maker."""
        return self

    @torch.no_grad()
    def generate(self, labels: Sequence[int], seeds: Sequence[int]) -> Scenes:
        """B scenes of labels and seeds."""
        return self.autoencoder.decode_tokens(self.tokens(labels, seeds))

    def draw(self, cells: Sequence[tuple[int, int]], batch_size: int | None = None) -> DrawnScenes:
        """Scenes of labels and seeds; all tokens are drawn at once, `batch_size` scenes a time."""
        size, drawn = batch_size or BATCH_SIZE, []
        for start in track(range(0, len(cells), size), description="tokens"):
            labels, seeds = zip(*cells[start : start + size], strict=True)
            drawn.append(self.tokens(labels, seeds))
        tokens = torch.cat(drawn)
        stored = TokenScenes.drawn(tokens, cells, self.names)
        return DrawnScenes(lambda n: self.autoencoder.decode_tokens(tokens[n : n + 1]), stored)
