"""The class-conditional triplane GAN of arXiv 2402.00225, and EG3D (arXiv 2112.07945) as its
baseline.

    latent, class -> mapping -> synthesis -> three planes -> Scenes (-> super-resolution)

No pose enters: cameras are drawn from a distribution, whatever photographs there are.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from models.autoencoder import FixedCamera
from models.blocks.field import DensityPrior, TriplaneField
from models.blocks.mapping import MappingNetwork, class_means, truncate
from models.blocks.plane_decoder import PLANES, PlaneSize
from models.blocks.super_resolution import SuperResolution
from models.blocks.synthesis import Synthesis, SynthesisSize
from models.limits import DEPTHS, MOST_CLASSES, SIDES, WIDTHS
from models.recipe import Recipe
from models.scenes import Scenes
from models.spaces import BoxSpace, ContractedSpace
from models.view_distribution import ViewDistribution
from models.view_prior import ViewCells, ViewPrior
from renderers.ranges import check_number
from renderers.ray_sampling import RaySampling

MEAN_SAMPLES = 1000
"""Latents of which a class's mean is taken."""

MIDDLE_LAYERS = 2
"""Layers that option `d` adds to the field."""


@dataclass(frozen=True)
class BackboneSize:
    """Sizes of the mapping and of the synthesis network; the defaults are EG3D's.

    latent: Z of the latents; width: W of the mapped latents; mapping_layers: of the mapping;
    mapping_lr: how fast the mapping learns, as a share of the other layers' rate; 0.01 is
    StyleGAN2's. channel_base: channels times resolution; channel_max: their upper limit.

    Raises ValueError for a number outside its range.
    """

    latent: int = 512
    width: int = 512
    mapping_layers: int = 2
    channel_base: int = 32768
    channel_max: int = 512
    mapping_lr: float = 0.01

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("latent", "width", "channel_max"):
            check_number(name, getattr(self, name), *WIDTHS)
        check_number("mapping_layers", self.mapping_layers, *DEPTHS)
        check_number("channel_base", self.channel_base, 1, SIDES[1] * WIDTHS[1])
        check_number("mapping_lr", self.mapping_lr, 0.0001, 1000)


@dataclass(frozen=True)
class LatentRefiner:
    """A super-resolution network with the mapped latents (B, W) of B scenes; see `Refiner`."""

    network: SuperResolution
    mapped: Tensor
    raw: int

    def __call__(self, features: Tensor) -> Tensor:
        """Features (B, C, raw, raw) to colours (B, 3, H, W), larger ones."""
        views = len(features) // len(self.mapped)
        return self.network(features, features[:, :3], self.mapped.repeat_interleave(views, 0))

    def __getitem__(self, index: slice) -> "LatentRefiner":
        """That of a slice of the scenes."""
        return LatentRefiner(self.network, self.mapped[index], self.raw)


class WildGAN(nn.Module):
    """The generator.

    Args:
        classes: number of classes, 0 for none.
        resolution: side of the square images, in pixels.
        raw_resolution: side of what is rendered; a half or a quarter of `resolution` where a
            super-resolution network makes the image of it.
        backbone: sizes of mapping and synthesis.
        planes: channels and side of the planes.
        extra_blocks: option `g`, a block of the same resolution after every synthesis block.
        deep_field: option `d`, two more layers in the field.
        field_hidden: width of the field's hidden layers.
        prior: density of an untrained scene.
        box: where the scene lies.
        unbounded: the contracted whole of space, for the scene to lie there instead of the box.
        views: where photographs may have been taken from.
        view_cells: how finely a distribution of each class's views is learned; null for none, then
            `views` is it.
        sampling: coarse and fine samples of a ray.
        refiner_widths: channels of the two blocks of the super-resolution.

    Raises:
        ValueError: a number is outside its range, or the renderings are no half or quarter of the
            images.
    """

    def __init__(
        self,
        classes: int,
        resolution: int = 128,
        raw_resolution: int = 64,
        backbone: BackboneSize = BackboneSize(),
        planes: PlaneSize = PlaneSize(32, 256),
        extra_blocks: bool = False,
        deep_field: bool = False,
        field_hidden: int = 64,
        prior: DensityPrior = DensityPrior(-1.0),
        box: BoxSpace = BoxSpace(),
        unbounded: ContractedSpace | None = None,
        views: ViewDistribution = ViewDistribution(),
        view_cells: ViewCells | None = None,
        sampling: RaySampling = RaySampling(48, 48, "distance"),
        refiner_widths: tuple[int, int] = (128, 64),
    ) -> None:
        super().__init__()
        check_number("model.generator.classes", classes, 0, MOST_CLASSES)
        check_number("model.generator.resolution", resolution, *SIDES)
        check_number("model.generator.raw_resolution", raw_resolution, *SIDES)
        check_number("model.generator.field_hidden", field_hidden, *WIDTHS)
        if len(refiner_widths) != 2:
            raise ValueError(
                f"model.generator.refiner_widths is {list(refiner_widths)}, it must be two widths."
            )
        for width in refiner_widths:
            check_number("model.generator.refiner_widths", width, *WIDTHS)
        factor = enlargement(resolution, raw_resolution)
        self.classes, self.resolution, self.raw_resolution = classes, resolution, raw_resolution
        self.backbone, self.planes = backbone, planes
        self.extra_blocks, self.deep_field = extra_blocks, deep_field
        self.box, self.unbounded = box, unbounded
        self.views, self.sampling = views, sampling
        self.refiner_widths = refiner_widths
        self.view_prior = None if view_cells is None else ViewPrior(classes, view_cells, views)
        self.mapping = MappingNetwork(
            backbone.latent,
            classes,
            backbone.width,
            backbone.mapping_layers,
            backbone.mapping_lr,
        )
        size = SynthesisSize(
            planes.resolution,
            PLANES * planes.channels,
            backbone.channel_base,
            backbone.channel_max,
        )
        self.synthesis = Synthesis(size, backbone.width, extra_blocks)
        self.field = TriplaneField(
            planes.channels,
            field_hidden,
            prior,
            middle_layers=MIDDLE_LAYERS if deep_field else 0,
            features=3 if factor == 1 else planes.channels,
        )
        self.refiner = (
            None
            if factor == 1
            else SuperResolution(planes.channels, factor, backbone.width, refiner_widths)
        )

    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""
        return {
            "class_path": "models.wildgan.WildGAN",
            "init_args": {
                "classes": self.classes,
                "resolution": self.resolution,
                "raw_resolution": self.raw_resolution,
                "backbone": asdict(self.backbone),
                "planes": asdict(self.planes),
                "extra_blocks": self.extra_blocks,
                "deep_field": self.deep_field,
                "field_hidden": self.field.hidden.out_features,
                "prior": asdict(self.field.prior),
                "box": asdict(self.box),
                "unbounded": None if self.unbounded is None else asdict(self.unbounded),
                "views": asdict(self.views),
                "view_cells": None if self.view_prior is None else asdict(self.view_prior.cells),
                "sampling": asdict(self.sampling),
                "refiner_widths": list(self.refiner_widths),
            },
        }

    @cached_property
    def canonical(self) -> FixedCamera:
        """The camera in the middle of `views`."""
        return FixedCamera(self.views.canonical())

    @property
    def space(self) -> BoxSpace | ContractedSpace:
        """Where the scene lies."""
        return self.box if self.unbounded is None else self.unbounded

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """Latents (B, Z), each drawn from a seed of its own, on the model's device."""
        drawn = [
            torch.randn(self.backbone.latent, generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        return torch.stack(drawn).to(self.field.out.weight.device)

    def directions(self, labels: Tensor, views: int, rng: torch.Generator) -> Tensor:
        """V directions (B, V, 3) to see scenes of labels (B,) from, as photographs show them."""
        if self.view_prior is not None:
            return self.view_prior.draw(labels, views, rng)[1]
        return self.views.directions(len(labels), views, rng)

    def scenes(self, mapped: Tensor) -> Scenes:
        """Mapped latents (B, W) to scenes."""
        planes = self.synthesis(mapped).unflatten(1, (PLANES, self.planes.channels))
        refiner = (
            None
            if self.refiner is None
            else LatentRefiner(self.refiner, mapped, self.raw_resolution)
        )
        canonical = self.canonical.on(planes.device)
        return Scenes(planes, self.field, self.space, self.sampling, canonical, refiner)

    def forward(self, latents: Tensor, labels: Tensor) -> Scenes:
        """Latents (B, Z) and labels (B,) to scenes."""
        return self.scenes(self.mapping(latents, labels))

    def mapped(self, labels: Tensor, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        """Mapped latents (B, W), the share `truncation` of the way from their class's mean."""
        mapped = self.mapping(self.latents(seeds), labels)
        if truncation == 1:
            return mapped
        known, index = labels.unique(return_inverse=True)
        rng = torch.Generator().manual_seed(0)
        means = class_means(self.mapping, known, MEAN_SAMPLES, rng)
        return truncate(mapped, means[index], truncation)


def enlargement(resolution: int, raw_resolution: int) -> Literal[1, 2, 4]:
    """How much larger an image is than what is rendered.

    Raises:
        ValueError: it is another number.
    """
    factors: tuple[Literal[1, 2, 4], ...] = (1, 2, 4)
    for factor in factors:
        if resolution == factor * raw_resolution:
            return factor
    raise ValueError(
        f"Images of {resolution} pixels can't be made of renderings of {raw_resolution}: set "
        "`raw_resolution` to the same, a half or a quarter."
    )
