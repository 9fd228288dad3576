"""Multi-view consistency: whether two views of a scene show the same points in the same colours."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from lightning_modules.evaluation.floaters import SOLID
from models.scenes import View, expand_camera
from renderers.cameras import Camera, project, z_to_distance
from renderers.pixels import gather_image, sample_image
from renderers.rays import camera_rays

TOLERANCE = 0.05
"""Share of a point's depth by which what a view shows in its place may be nearer or farther and
still be that point."""


@dataclass(frozen=True)
class Reprojection:
    """How well two views of B scenes agree, (B,) float64 each, on the CPU.

    colour: mean absolute difference in [0, 1] of the colours of points that both show, NaN where
    there are none; depth: median of |depth - expected depth| / expected depth over the points of
    the first view that land on an unbroken surface of the second, whatever its depth, NaN where
    none does; covisible: share of the first view's solid pixels whose points both show, NaN where
    none is solid.

    A point that is hidden in the second view lands on what hides it. In views a few degrees apart
    that is a minority, which a median leaves out, while wrong geometry displaces most points and
    shows however far off it is. Geometry that is wrong in places lowers `covisible`, as do
    occlusions, the edges of images and, by about a pixel, silhouettes: compare figures of one angle
    and resolution.
    """

    colour: Tensor
    depth: Tensor
    covisible: Tensor


def reprojection(
    first: View,
    first_camera: Camera,
    second: View,
    second_camera: Camera,
    tolerance: float = TOLERANCE,
) -> Reprojection:
    """Agreement of B scenes' views from cameras (B,) or (1,), of at least 2 x 2 pixels.

    The points that the solid pixels of the first view show, at their depth, are projected into the
    second, and compared with what it shows there, bilinearly. Both show a point where the second
    has it at its depth within the tolerance. Silhouettes are not looked across: all four pixels
    around must be solid, and none farther than the nearest by more than the tolerance.

    Swapped views give other figures: each view is asked only for what it shows itself.
    """
    count, height, width = first.opacity.shape
    source, target = (expand_camera(camera, count) for camera in (first_camera, second_camera))
    depth = 1 / first.disparity.flatten(1)  # (B, R)
    solid = (first.opacity.flatten(1) > SOLID) & (depth > 0) & depth.isfinite()
    rays = camera_rays(source, height, width)
    distance = z_to_distance(torch.where(solid, depth, 1.0), rays.directions, source)
    pixels, expected = project(rays.at(distance[..., None])[:, :, 0], target)
    inside = ((pixels >= 0) & (pixels <= 1)).all(-1) & (expected > 0)
    pixels = pixels.clamp(0, 1)
    lands = solid & inside & _unbroken(second, pixels, tolerance)
    # Disparity is linear across the image of a plane, where depth is not.
    found = 1 / sample_image(second.disparity[:, None], pixels)[..., 0]
    deviation = ((found - expected) / expected).abs().double()
    both = lands & (deviation <= tolerance)
    colours = first.rgb.flatten(2).transpose(1, 2)  # (B, R, 3)
    difference = (sample_image(second.rgb, pixels) - colours).abs().double().mean(-1)
    return Reprojection(
        difference.masked_fill(~both, torch.nan).nanmean(1).cpu(),
        deviation.masked_fill(~lands, torch.nan).nanmedian(1).values.cpu(),
        (both.sum(1).double() / solid.sum(1)).cpu(),
    )


def _unbroken(view: View, pixels: Tensor, tolerance: float) -> Tensor:
    """Whether the four pixels of a view around each place (B, R, 2) show one surface, (B, R)."""
    least_opacity, farthest = (-max_pool2d(-x, 2, 1) for x in (view.opacity, view.disparity))
    nearest = max_pool2d(view.disparity, 2, 1)  # (B, H - 1, W - 1)
    unbroken = (least_opacity > SOLID) & (farthest > 0) & (nearest <= (1 + tolerance) * farthest)
    size = pixels.new_tensor(view.opacity.shape[:0:-1])  # W, H
    return gather_image(unbroken[:, None], (size * pixels - 0.5) / (size - 1))[..., 0]
