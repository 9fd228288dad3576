"""Which rays a training step renders, and the rendering of all of them in one call."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.scenes import Scenes, axis_cosine, expand_camera
from models.spaces import ContractedSpace
from renderers.cameras import Camera
from renderers.pixels import patch_pixels, random_corners, random_offsets, strided_pixels
from renderers.rays import rays_at
from renderers.rendering import Rendering


@dataclass(frozen=True)
class RayPlan:
    """How many rays a training image gets: rendering is what a step costs.

    grid_stride: pixel and depth losses see every n-th row and column, from a random offset; the
        novel views are rendered on the same grid. 1 renders every pixel.
    patch: side of the square patch of neighbouring pixels for the perceptual loss and the main
        discriminator, a power of two; 0 for none.
    patch_images, novel_images: how many images of a batch get a patch and a novel view.
    """

    grid_stride: int = 4
    patch: int = 64
    patch_images: int = 8
    novel_images: int = 8


@dataclass(frozen=True)
class Pixels:
    """What one step looks at, in [0, 1]: grid (B, R, 2) of all images, patch (b, R', 2) or None."""

    grid: Tensor
    patch: Tensor | None


@dataclass(frozen=True)
class Renderings:
    """The views of one step: the grid of all scenes, a patch and a novel view of the first few.

    grid_cosine: (B, R) cosine between the grid's rays and the optical axis.
    """

    grid: Rendering
    grid_cosine: Tensor
    patch: Rendering | None
    novel: Rendering | None

    def grid_disparity(self, space: ContractedSpace) -> Tensor:
        """Scaled z-disparity (B, R, S) of the grid's samples, see `scale_disparity`."""
        return space.scale_disparity(1 / (self.grid.t * self.grid_cosine[..., None]))


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
    scenes: Scenes, pixels: Pixels, novel: Camera | None, rng: torch.Generator
) -> Renderings:
    """Render the grid of every scene, and patch and novel view of the first few."""
    canonical = expand_camera(scenes.canonical, len(scenes))
    rays = rays_at(canonical, pixels.grid)
    grid, cosine = scenes.render(rays, rng), axis_cosine(rays, canonical)
    patch = novel_view = None
    if pixels.patch is not None:
        count = len(pixels.patch)
        patch = scenes[:count].render(rays_at(canonical[:count], pixels.patch), rng)
    if novel is not None:
        count = len(novel.cam2world)
        novel_view = scenes[:count].render(rays_at(novel, pixels.grid[:count]), rng)
    return Renderings(grid, cosine, patch, novel_view)
