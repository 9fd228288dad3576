"""Rays of a training image, and the rendering of all of them in one call."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.errors import check_number
from datamodules.schema import Batch, PixelRays
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.limits import SIDES
from models.scenes import Scenes, View
from renderers.cameras import Camera, cap_angles, uniform_pairs
from renderers.pixels import (
    gather_image,
    patch_pixels,
    pixel_centres,
    random_corners,
    random_offsets,
    strided_pixels,
)
from renderers.rays import Rays, rays_at
from renderers.rendering import Rendering


@dataclass(frozen=True)
class RayPlan:
    """How many rays a training image gets: rendering is what a step costs.

    grid_stride: pixel and depth losses see every n-th row and column, from a random offset; the
        novel views are rendered on the same grid. 1 renders every pixel.
    patch: side of the square patch of neighbouring pixels for the perceptual loss and the main
        discriminator, a power of two; 0 for none.
    patch_images, novel_images: how many images of a batch get a patch and a novel view.

    Raises DataError for a number outside its range.
    """

    grid_stride: int = 4
    patch: int = 64
    patch_images: int = 8
    novel_images: int = 8

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("grid_stride", self.grid_stride, *SIDES)
        check_number("patch", self.patch, 0, SIDES[1])
        check_number("patch_images", self.patch_images, 0, 1_000_000)
        check_number("novel_images", self.novel_images, 0, 1_000_000)


@dataclass(frozen=True)
class NovelViews:
    """Cap of camera offsets around the canonical view, half-extents in radians."""

    yaw: float = math.pi / 8
    pitch: float = math.pi / 18

    def __post_init__(self) -> None:
        """Raise DataError for an extent beyond the sphere."""
        check_number("yaw", self.yaw, 0, 3.1416)
        check_number("pitch", self.pitch, 0, 1.5708)

    def draw(self, view: CanonicalView, count: int, scale: float, rng: torch.Generator) -> Camera:
        """Draw `count` cameras uniformly from the cap, its extents multiplied by `scale`."""
        uniform = uniform_pairs(count, rng)
        return view.offset(*cap_angles(uniform, scale * self.yaw, scale * self.pitch))


@dataclass(frozen=True)
class Pixels:
    """What one step looks at, in [0, 1]: grid (B, R, 2) of all images, patch (b, R', 2) or None."""

    grid: Tensor
    patch: Tensor | None


@dataclass(frozen=True)
class Renderings:
    """The views of one step: the grid of all scenes, a patch and a novel view of the first few.

    grid_depth: (B, R, S) depth of the grid's samples as labels measure it, see `depth_share`.
    """

    grid: Rendering
    grid_depth: Tensor
    patch: Rendering | None
    novel: Rendering | None


def draw_pixels(
    plan: RayPlan, batch: int, resolution: int, with_patch: bool, rng: torch.Generator
) -> Pixels:
    """Place each image's grid and patch at random."""
    offset = random_offsets(batch, plan.grid_stride, rng)
    grid = strided_pixels(resolution, resolution, plan.grid_stride, offset)
    if not with_patch:
        return Pixels(grid, None)
    count = min(batch, plan.patch_images)
    corner = random_corners(count, resolution, resolution, plan.patch, rng)
    return Pixels(grid, patch_pixels(resolution, resolution, plan.patch, corner))


def render_views(
    autoencoder: TokenAutoencoder,
    scenes: Scenes,
    pixels: Pixels,
    novel: Camera | None,
    rng: torch.Generator,
    given: PixelRays | None = None,
) -> Renderings:
    """Render the grid of every scene, and patch and novel view of the first few.

    given: rays that come with the images, for systems that use them.
    """
    rays = autoencoder.image_rays(pixels.grid, rays_of_pixels(given, pixels.grid))
    grid = scenes.render(rays, rng)
    depth = grid.t * autoencoder.depth_share(rays)[..., None]
    patch = novel_view = None
    if pixels.patch is not None:
        count = len(pixels.patch)
        of_patch = rays_of_pixels(given, pixels.patch)
        patch = scenes[:count].render(autoencoder.image_rays(pixels.patch, of_patch), rng)
    if novel is not None:
        count = len(novel.cam2world)
        novel_view = scenes[:count].render(rays_at(novel, pixels.grid[:count]), rng)
    return Renderings(grid, depth, patch, novel_view)


def rays_of_pixels(given: PixelRays | None, pixels: Tensor) -> Rays | None:
    """Those of a batch's rays that go through pixels (b, R, 2) of its first b images."""
    if given is None:
        return None
    origins, directions = (
        gather_image(part[: len(pixels)].movedim(-1, 1), pixels)
        for part in (given.origins, given.directions)
    )
    return Rays(origins, directions)


@torch.no_grad()
def view_images(autoencoder: TokenAutoencoder, scenes: Scenes, batch: Batch) -> View:
    """Render scenes along the rays that the images of a batch were seen along, in their size."""
    height, width = batch.image.shape[-2:]
    pixels = pixel_centres(height, width, batch.image.device).expand(len(scenes), -1, -1)
    rays = autoencoder.image_rays(pixels, rays_of_pixels(batch.rays, pixels))
    return scenes.view_along(rays, autoencoder.depth_share(rays), (height, width))
