"""Frames of rays: Waymo's box frame, the refined box frame, and the world of wild3d."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from datamodules.build.waymo.crop import Square
from datamodules.build.waymo.tables import RowError

_RIGID_TOLERANCE = 1e-3  # by which a pose may differ from a rotation
_STRIDE = 7  # of the pixels whose directions are measured
_UNIT_TOLERANCE = 1e-2  # by which a direction's length may differ from 1

TO_WORLD = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
"""Rotation from Waymo's box frame (x front, y left, z up) to that of `BoxRays`."""


class BoxRays(NamedTuple):
    """Origins and unit directions (H, W, 3) float32 of rays in the frame of a box, x to its front,
    y up, z to its right."""

    origins: np.ndarray
    directions: np.ndarray

    def moved(self, matrix: np.ndarray) -> BoxRays:
        """Moved by a rigid motion (4, 4)."""
        rotation, shift = matrix[:3, :3].astype(np.float32), matrix[:3, 3].astype(np.float32)
        return BoxRays(self.origins @ rotation.T + shift, self.directions @ rotation.T)


def resized_rays(square: Square, origins: np.ndarray, directions: np.ndarray) -> BoxRays:
    """Rays of the pixels of a square, of those of a crop (H, W, 3) float32 in Waymo's axes.

    Raises RowError if they are not finite, or their directions not of length 1.
    """
    some = directions[::_STRIDE, ::_STRIDE]
    lengths = np.sqrt(np.einsum("hwi,hwi->hw", some, some))
    if not np.abs(lengths - 1).max() <= _UNIT_TOLERANCE:
        shortest, longest = lengths.min(), lengths.max()
        raise RowError(f"its directions are not of length 1 ({shortest:g} to {longest:g})")
    try:
        resized = square.origins(origins), square.directions(directions)
    except ValueError as error:
        raise RowError(f"its {error}") from error
    if not all(np.isfinite(vectors).all() for vectors in resized):
        raise RowError("its rays are not finite")
    return BoxRays(*(_in_world(vectors) for vectors in resized))


def _in_world(vectors: np.ndarray) -> np.ndarray:
    """Vectors (H, W, 3) turned by `TO_WORLD` where they are, which a product would copy."""
    left = vectors[..., 1].copy()
    vectors[..., 1] = vectors[..., 2]
    np.negative(left, out=vectors[..., 2])
    return vectors


def refined_from_box(
    box_from_vehicle: np.ndarray, center: np.ndarray, heading: float
) -> np.ndarray:
    """Rigid motion (4, 4) from the frame of the labelled box to that of the refined one, in the
    axes of `BoxRays`.

    Args:
        box_from_vehicle: (4, 4) from the vehicle's frame to that of the refined box.
        center: (3,) of the labelled box in the vehicle's frame, in metres.
        heading: of the labelled box, in radians from the vehicle's x towards its y.

    Raises RowError if the pose is no rigid motion, or a number is not finite.
    """
    cosine, sine = np.cos(heading), np.sin(heading)
    vehicle_from_box = np.eye(4)
    vehicle_from_box[:2, :2] = [[cosine, -sine], [sine, cosine]]
    vehicle_from_box[:3, 3] = center
    rotation = box_from_vehicle[:3, :3]
    rigid = (
        np.isfinite(box_from_vehicle).all()
        and np.allclose(rotation @ rotation.T, np.eye(3), atol=_RIGID_TOLERANCE)
        and np.linalg.det(rotation) > 0
        and np.allclose(box_from_vehicle[3], (0, 0, 0, 1), atol=_RIGID_TOLERANCE)
    )
    if not (rigid and np.isfinite(vehicle_from_box).all()):
        raise RowError("its refined pose is no rigid motion")
    axes, exact = np.eye(4), box_from_vehicle.copy()
    axes[:3, :3] = TO_WORLD
    left, _, right = np.linalg.svd(rotation)
    exact[:3, :3] = left @ right  # the nearest rotation: directions must stay of length 1
    return axes @ exact @ vehicle_from_box @ axes.T
