"""Subjects of an evaluation: scenes that a generator draws, or that stage 1 makes of photographs,
as they look from where they are measured."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from datamodules.rows import SplitRows
from datamodules.schema import Batch, PixelRays
from lightning_modules.evaluation.condition_figures import Asked
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.scene_maker import SceneDrawer
from lightning_modules.inference.tokenise import sight
from lightning_modules.losses.occlusion import composite, visible_pixels
from lightning_modules.stage1_rays import view_images
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.scenes import Scenes, View
from renderers.cameras import Camera

NOVEL_SEED = 2**40
"""Added to the seed of a scene, so that its novel camera does not follow from it."""


@dataclass(frozen=True)
class Seen:
    """B scenes and how they look from where they are measured.

    image: (B, 3, H, W) in [0, 1] that is compared with real images; labels: -1 unknown; seeds: of
    their novel views; rotation: (B, 3, 3) cam2world of the cameras, None where they are unknown;
    photographs: those that the scenes are made of, None where they are drawn; asked: what these
    were to be, None where nothing was asked for.
    """

    scenes: Scenes
    view: View
    image: Tensor
    labels: Tensor
    seeds: tuple[int, ...]
    rotation: Tensor | None
    photographs: Batch | None = None
    asked: Asked | None = None


class Subjects(ABC):
    """N scenes of one checkpoint."""

    @property
    @abstractmethod
    def canonical(self) -> CanonicalView:
        """The view from which novel ones are turned."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of scenes N."""

    def novel_cameras(self, seeds: Sequence[int], yaw: float, pitch: float) -> Camera:
        """Cameras (B,) turned by up to so many radians from the canonical one, around and up and
        down, evenly; equal seeds give equal cameras."""
        rngs = [torch.Generator().manual_seed(NOVEL_SEED + seed) for seed in seeds]
        shares = torch.stack([2 * torch.rand(2, generator=rng) - 1 for rng in rngs])
        return self.canonical.offset(yaw * shares[:, 0], pitch * shares[:, 1])

    @abstractmethod
    def seen(self, rows: range) -> Seen:
        """Make some of the scenes and look at them."""


@dataclass(frozen=True)
class DrawnSubjects(Subjects):
    """Scenes of labels that a generator draws, with seeds that count from `first_seed`.

    photographs: seen along whose rays the scenes are measured, for generators of objects in boxes,
    each along those of the photograph in its row; None leaves it to the drawer. asked: what each is
    to be beside its label, as far as the generator takes it.
    """

    drawer: SceneDrawer
    labels: tuple[int, ...]
    first_seed: int = 0
    photographs: SplitRows | None = None
    rows: tuple[int, ...] = ()
    asked: Asked | None = None

    @property
    def canonical(self) -> CanonicalView:
        """That of the generator."""
        return self.drawer.view

    def __len__(self) -> int:
        """Number of scenes N."""
        return len(self.labels)

    @torch.no_grad()
    def seen(self, rows: range) -> Seen:
        """Draw some of the scenes and look at them; equal seeds draw equal scenes."""
        labels = self.labels[rows.start : rows.stop]
        seeds = tuple(self.first_seed + row for row in rows)
        asked = None if self.asked is None else self.asked.at(slice(rows.start, rows.stop))
        drawer, side = self.drawer, self.drawer.resolution
        if asked is not None and isinstance(drawer, PriorScenes):
            drawer = drawer.told(asked.size, asked.time)
        scenes = drawer.generate(labels, seeds)
        device, label = scenes.planes.device, torch.tensor(labels)
        if self.photographs is not None:
            batch = self.photographs.read(self.rows[rows.start : rows.stop]).to(device)
            view, rotation = view_images(self.drawer.autoencoder, scenes, batch), turned(batch.rays)
            return Seen(scenes, view, view.rgb, label, seeds, rotation, None, asked)
        camera = self.drawer.cameras(scenes, labels, seeds)
        view, rotation = scenes.view(camera, side, side), camera.cam2world[:, :3, :3]
        rotation = rotation.expand(len(scenes), 3, 3)
        return Seen(scenes, view, view.rgb, label, seeds, rotation, None, asked)


@dataclass(frozen=True)
class ReconstructedSubjects(Subjects):
    """Scenes that a stage-1 model makes of photographs, those in `rows` of a split, seen as these
    were."""

    model: TokenAutoencoder
    photographs: SplitRows
    rows: range
    device: str = "cpu"

    @property
    def canonical(self) -> CanonicalView:
        """That of the model."""
        return self.model.view

    def __len__(self) -> int:
        """Number of scenes N."""
        return len(self.rows)

    @torch.no_grad()
    def seen(self, rows: range) -> Seen:
        """Reconstruct some of the photographs and look at the scenes."""
        stored = self.rows[rows.start : rows.stop]
        batch = self.photographs.read(stored).to(self.device)
        scenes = self.model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
        view = view_images(self.model, scenes, batch)
        rotation = None if batch.rays is None else turned(batch.rays)
        image = completed(view, scenes.space.background, batch)
        return Seen(scenes, view, image, batch.label.cpu(), tuple(stored), rotation, batch)


def completed(view: View, behind: float | None, batch: Batch) -> Tensor:
    """Views (B, 3, H, W) of photographed objects with what surrounds them in the photographs, by
    their masks; scenes that go on, or without masks, as they are.

    behind: grey level behind the scenes, None where they go on.
    """
    if batch.mask is None or behind is None:
        return view.rgb
    rgb, image = (x.permute(0, 2, 3, 1) for x in (view.rgb, batch.float_image()))
    whole = composite(rgb, view.opacity, image, visible_pixels(batch.mask), behind)
    return whole.permute(0, 3, 1, 2)


def turned(rays: PixelRays | None) -> Tensor:
    """Rotations (B, 3, 3) cam2world, of cameras that look along the middle of images seen along
    rays: that of a pinhole camera where the image is centred.

    Raises ValueError without rays.
    """
    if rays is None:
        raise ValueError("the photographs come without rays")
    corners = rays.directions[:, [0, 0, -1, -1], [0, -1, 0, -1]]  # (B, 4, 3)
    forward = normalize(corners.sum(1), dim=-1)
    across = corners[:, [1, 3]].sum(1) - corners[:, [0, 2]].sum(1)
    right = normalize(across - (across * forward).sum(-1, keepdim=True) * forward, dim=-1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], -1)


def rows_of_labels(stored: Tensor, labels: Sequence[int], skipped: int = 0) -> tuple[int, ...]:
    """A row of the images with labels `stored` (N,) for each label, those of a class in turn, -1 of
    any; skipped: how many labels, distributed alike, are thought to have had theirs before.

    >>> rows_of_labels(torch.tensor([0, 1, 0]), [0, 1, 0, 0])
    (0, 1, 2, 0)
    """
    rows = {label: (stored == label).nonzero()[:, 0].tolist() for label in set(labels) - {-1}}
    rows[-1] = list(range(len(stored)))
    begun = {label: skipped * labels.count(label) // max(1, len(labels)) for label in set(labels)}
    found = []
    for label in labels:
        found.append(rows[label][begun[label] % len(rows[label])])
        begun[label] += 1
    return tuple(found)
