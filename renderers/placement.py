"""Objects in a shared world: rays in an object's own frame, and boxes that must not meet.

An object's frame has its origin in the middle of its box, the front at +x and +y up. In the world
it is turned about the vertical, moved, and stretched along its own axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from renderers.rays import Rays

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where an object stands.

    position: of its box's middle in the world; heading: radians from the world's +x towards -z, as
    seen from above counter-clockwise; stretch: factors along its own axes, above 0.
    """

    position: Vector = (0.0, 0.0, 0.0)
    heading: float = 0.0
    stretch: Vector = (1.0, 1.0, 1.0)

    def rotation(self, device: torch.device | str = "cpu") -> Tensor:
        """Directions of the object's frame in the world, the columns of (3, 3).

        >>> Placement(heading=math.pi / 2).rotation()[:, 0].round()  # the front
        tensor([ 0.,  0., -1.])
        """
        c, s = math.cos(self.heading), math.sin(self.heading)
        return torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], device=device)

    def matrix(self) -> Tensor:
        """Homogeneous points of the object's frame to those of the world, (4, 4).

        >>> corner = torch.tensor([1.0, 1.0, 1.0, 1.0])
        >>> (Placement((1.0, 2.0, 3.0), stretch=(2.0, 1.0, 1.0)).matrix() @ corner).tolist()
        [3.0, 3.0, 4.0, 1.0]
        """
        matrix = torch.eye(4)
        matrix[:3, :3] = self.rotation() * torch.tensor(self.stretch)
        matrix[:3, 3] = torch.tensor(self.position)
        return matrix


def rays_in_frame(rays: Rays, placement: Placement) -> tuple[Rays, Tensor]:
    """Rays (B, R) of the world in an object's frame, and how much longer distances along them are
    in the world than there, (B, R).

    >>> rays = Rays(torch.tensor([[[0.0, 0.0, 4.0]]]), torch.tensor([[[0.0, 0.0, -1.0]]]))
    >>> own, factor = rays_in_frame(rays, Placement((0.0, 0.0, 1.0), stretch=(1.0, 1.0, 2.0)))
    >>> own.origins.tolist(), factor.tolist()
    ([[[0.0, 0.0, 1.5]]], [[2.0]])
    """
    like = rays.origins
    turn = placement.rotation(like.device).to(like.dtype)
    stretch = like.new_tensor(placement.stretch)
    origins = (rays.origins - like.new_tensor(placement.position)) @ turn / stretch
    directions = rays.directions @ turn / stretch
    return Rays(origins, normalize(directions, dim=-1)), 1.0 / directions.norm(dim=-1)


def points_in_world(points: Tensor, placement: Placement) -> Tensor:
    """Points (N, 3) of an object's frame in the world."""
    turn = placement.rotation(points.device).to(points.dtype)
    stretched = points * points.new_tensor(placement.stretch)
    return stretched @ turn.T + points.new_tensor(placement.position)


def boxes_meet(
    first: Placement, first_half: Vector, second: Placement, second_half: Vector
) -> bool:
    """Whether two objects' boxes have points in common, by a separating axis.

    first_half, second_half: half the sides of the boxes in the objects' frames, not yet stretched.

    >>> boxes_meet(Placement(), (1.0, 1.0, 1.0), Placement((2.5, 0.0, 0.0)), (1.0, 1.0, 1.0))
    False
    >>> turned = Placement((2.3, 0.0, 0.0), heading=math.pi / 4)
    >>> boxes_meet(Placement(), (1.0, 1.0, 1.0), turned, (1.0, 1.0, 1.0))
    True
    """
    corners = [box_corners(one, half) for one, half in ((first, first_half), (second, second_half))]
    axes = torch.cat([first.rotation(), second.rotation()], 1).T  # both are upright: 6 suffice
    spans = [points @ axes.T for points in corners]  # (8, 6) each
    (low, high), (other_low, other_high) = ((x.amin(0), x.amax(0)) for x in spans)
    return bool(((low < other_high) & (other_low < high)).all())


def box_corners(placement: Placement, half: Vector) -> Tensor:
    """Corners (8, 3) in the world of a box of half the sides `half` in the object's frame.

    >>> box_corners(Placement((1.0, 0.0, 0.0)), (2.0, 1.0, 1.0)).amax(0).tolist()
    [3.0, 1.0, 1.0]
    """
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)  # (8, 3)
    return points_in_world(signs * torch.tensor(half), placement)
