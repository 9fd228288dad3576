"""What is measured of rendered samples: extents and brightness."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.metrics.reconstruction import SOLID
from models.scenes import Scenes, View
from renderers.cameras import orbit_camera

LUMA = (0.2126, 0.7152, 0.0722)
"""Shares of red, green and blue in luminance (ITU-R BT.709)."""

SIDE = 48
"""Pixels of the images that extents are measured in."""

FRAME = 1.05
"""Half the width of these images, over half the longest side of a scene's box."""

FAR = 200.0
"""Distance of their cameras, over half the width: sizes are seen to half a percent."""

AXES = ((0.0, 0.0, 0, 1), (math.pi / 2, 0.0, 2, 1), (0.0, math.pi / 2, 0, 2))
"""Yaw and pitch of views along z, x and y, and which axes of the world run across and along their
images."""


def extents(scenes: Scenes) -> Tensor:
    """Extents (B, 3) along x, y and z, in units of the world, of what B scenes show to cameras that
    are so far away that sizes do not depend on distance; NaN where a scene shows nothing.

    An extent runs from the first to the last solid pixel, averaged over the two views that show it.

    Raises:
        DataError: the scenes lie in no box.
    """
    boxes = [scenes[n : n + 1].space.box() for n in range(len(scenes))]
    halves = [max(box) * FRAME for box in boxes if box is not None]
    if len(halves) < len(boxes):
        raise DataError("These scenes have no end, so their extents can't be measured.")
    half = scenes.planes.new_tensor(halves)
    fov = math.degrees(2 * math.atan(1 / FAR))
    found = half.new_full((len(AXES), len(scenes), 3), torch.nan)
    for view, (yaw, pitch, across, along) in zip(found, AXES, strict=True):
        camera = orbit_camera(yaw, pitch, FAR * half, fov)
        solid = scenes.view(camera, SIDE, SIDE).opacity > SOLID
        view[:, across] = spans(solid.any(1)) * 2 * half / SIDE
        view[:, along] = spans(solid.any(2)) * 2 * half / SIDE
    return found.nanmean(0).cpu()


def spans(taken: Tensor) -> Tensor:
    """Number of places (B,) from the first to the last that is taken, of (B, N) bool; NaN where
    none is.

    >>> spans(torch.tensor([[False, True, False, True], [False] * 4])).tolist()
    [3.0, nan]
    """
    place = torch.arange(1.0, taken.shape[1] + 1, device=taken.device)
    last = (taken * place).amax(1)
    from_end = (taken * place.flip(0)).amax(1)
    return (last + from_end - len(place)).where(taken.any(1), torch.nan)


def luminance(rgb: Tensor, shown: Tensor) -> Tensor:
    """Mean luminance (B,) of the pixels of images (B, 3, H, W) in [0, 1] that `shown` (B, H, W)
    says; NaN where it says none."""
    luma = (rgb * rgb.new_tensor(LUMA)[:, None, None]).sum(1)
    return (luma * shown).flatten(1).sum(1) / shown.flatten(1).sum(1)


def object_luminance(view: View, behind: float | None) -> Tensor:
    """`luminance` (B,) of what views show of objects, without what is behind them.

    behind: grey level behind the scenes, None where they go on.
    """
    opacity = view.opacity[:, None]
    back = 0.0 if behind is None else (1 - opacity) * behind
    colour = (view.rgb - back) / opacity.clamp(min=SOLID)
    return luminance(colour.clamp(0, 1), view.opacity > SOLID)


def best_threshold(low: Tensor, high: Tensor) -> float:
    """The threshold that best tells values (N,) from higher ones (M,), see `told_apart`.

    >>> best_threshold(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0]))
    1.5
    """
    values = torch.cat([low, high]).unique()
    middles = ((values[1:] + values[:-1]) / 2).tolist() or values.tolist()
    return max(middles, key=lambda middle: told_apart(low, high, middle))


def told_apart(low: Tensor, high: Tensor, threshold: float) -> float:
    """Mean of the shares of values (N,) below a threshold and of others (M,) above it."""
    return float((low < threshold).double().mean() + (high > threshold).double().mean()) / 2
