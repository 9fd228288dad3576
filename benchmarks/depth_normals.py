"""Normals of surfaces that depth maps show, from differences of neighbouring pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from benchmarks.known_views import ObjectViews
from benchmarks.lowpoly_attributes import unproject
from lightning_modules.evaluation.point_sets import PointCloud

STEEP = 6.0
"""Most that depth differs between neighbours of one surface, in widths of a pixel there: surfaces
seen at more than about 80 degrees have no normals."""
BENT = 1.0
"""Bend of a side where it is not known, see `_straightness`."""
STRAIGHT = 0.1
"""Bend that is nothing."""


def view_surface(views: ObjectViews) -> PointCloud:
    """Points (N, 3) of all pixels of an object that have a neighbour of the same surface along rows
    and along columns, with the normals there, towards the cameras."""
    points, known = unproject(views), views.mask & (views.depth > 0)
    pixel = 1 / (views.camera.intrinsics[:, 0, 0] * known.shape[2])
    right, beside = _tangents(points, views.depth, known, pixel)
    columns, depth, of_object = (part.transpose(1, 2) for part in (points, views.depth, known))
    found = _tangents(columns, depth, of_object, pixel)
    down, below = (part.transpose(1, 2) for part in found)
    normals = torch.linalg.cross(down, right)
    chosen = beside & below & (normals.norm(dim=-1) > 0)
    return PointCloud(points[chosen], normalize(normals[chosen], dim=-1))


def _tangents(points: Tensor, depth: Tensor, known: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Unit steps (V, H, W, 3) along rows of points (V, H, W, 3), and where there are any (V, H, W).

    depth, known: (V, H, W); pixel: (V,) width at depth 1. Of both neighbours on the same surface
    the one in whose direction the surface is straighter counts more, so that normals stay those of
    a face up to its edges.
    """
    near = torch.minimum(depth[..., 1:], depth[..., :-1])
    joined = known[..., 1:] & known[..., :-1]
    joined &= depth.diff(dim=-1).abs() < STEEP * pixel[:, None, None] * near
    ahead, behind = _straightness(depth, joined, pixel)
    steps = normalize(points.diff(dim=-2), dim=-1)
    towards = pad((joined * ahead)[..., None] * steps, (0, 0, 0, 1))
    away = pad((joined * behind)[..., None] * steps, (0, 0, 1, 0))
    return normalize(towards + away, dim=-1), pad(joined, (0, 1)) | pad(joined, (1, 0))


def _straightness(depth: Tensor, joined: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (V, H, W - 1) of the step from a pixel to the next one, for the first and for the
    second of them.

    1 / depth of a plane is linear in pixels: by how much it is not, among a pixel and the two
    beyond it, is the bend of that side, in slopes.
    """
    inverse = torch.where(depth > 0, 1 / depth.clamp(min=1e-6), 0)
    bend = inverse.diff(n=2, dim=-1).abs() / (pixel[:, None, None] * inverse[..., 1:-1])
    bend = torch.where(joined[..., 1:] & joined[..., :-1], bend, BENT)
    weight = pad((bend + STRAIGHT).square().reciprocal(), (1, 1), value=BENT**-2)
    return weight[..., 1:], weight[..., :-1]
