"""Several objects in one scene, each a NeRF in a box, rendered together along each ray."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from models.scenes import Scenes, View, axis_cosine, expand_camera, resized
from models.spaces import HalfExtents
from renderers.cameras import Camera
from renderers.layers import Layers, merge_layers
from renderers.placement import Placement, box_corners, boxes_meet, rays_in_frame
from renderers.rays import Rays, camera_rays, rays_to_image
from renderers.renderer import POINTS_PER_CHUNK


@dataclass(frozen=True)
class PlacedObject:
    """A scene (1) that lies in a box before an even background, and where it stands.

    Raises ValueError for a scene without a box, or one that goes on behind it.
    """

    name: str
    scene: Scenes
    placement: Placement

    def __post_init__(self) -> None:
        """Check the scene."""
        if self.scene.space.box() is None or self.scene.space.background is None:
            raise ValueError(
                f"the scene of {self.name} fills all of space: objects with boxes alone can be "
                "placed beside each other"
            )

    @property
    def half_extents(self) -> HalfExtents:
        """Half the sides of its box in its own frame."""
        box = self.scene.space.box()
        assert box is not None
        return box

    @property
    def sides(self) -> tuple[float, float, float]:
        """Sides of its box as it stands: length, height and width."""
        x, y, z = (
            2 * half * factor
            for half, factor in zip(self.half_extents, self.placement.stretch, strict=True)
        )
        return x, y, z

    def layer(self, rays: Rays, points_per_chunk: int) -> Layers:
        """The object alone (1, 1, R) along rays (1, R) of the world, see `Layers`; only those that
        cross its box are rendered."""
        own, factor = rays_in_frame(rays, self.placement)
        bounds = self.scene.space.bounds(own)
        hit = bounds.hit
        layer = Layers(
            rays.directions.new_zeros(1, *rays.directions.shape),
            factor.new_zeros(1, *factor.shape),
            factor.new_zeros(1, *factor.shape),
            torch.where(hit, bounds.near * factor, torch.inf)[None],
        )
        if not hit.any():
            return layer
        inside = Rays(own.origins[hit][None], own.directions[hit][None])
        even = torch.ones_like(inside.directions[..., 0])
        view = self.scene.view_along(inside, even, (1, even.numel()), points_per_chunk)
        opacity = view.opacity.flatten()
        through = 1 - opacity
        grey = self.scene.space.background or 0.0
        layer.rgb[0, hit] = view.rgb[0].flatten(1).T - through[:, None] * grey
        layer.opacity[0, hit] = opacity
        disparity = view.disparity.flatten() - through / bounds.far[hit]
        layer.disparity[0, hit] = disparity / factor[hit]
        return layer


@dataclass(frozen=True)
class Composition:
    """Objects whose boxes do not meet.

    Raises ValueError for no object, and naming two whose boxes do.
    """

    objects: Sequence[PlacedObject]

    def __post_init__(self) -> None:
        """Check the boxes."""
        if not self.objects:
            raise ValueError("there is no object")
        for one, other in combinations(self.objects, 2):
            if boxes_meet(one.placement, one.half_extents, other.placement, other.half_extents):
                raise ValueError(f"the boxes of {one.name} and {other.name} meet: move them apart")

    def corners(self) -> Tensor:
        """Corners (8 N, 3) of all boxes in the world."""
        return torch.cat([box_corners(one.placement, one.half_extents) for one in self.objects])

    @torch.no_grad()
    def view(
        self,
        camera: Camera,
        height: int,
        width: int,
        background: float | Tensor = 1.0,
        points_per_chunk: int = POINTS_PER_CHUNK,
    ) -> View:
        """Render an image of an unmoved camera (1), nearest objects first on every ray.

        Args:
            background: grey level behind all objects, or an image (1, 3, H', W') in [0, 1].
            points_per_chunk: field evaluations held in memory at once.
        """
        camera = expand_camera(camera, 1)
        rays, size = camera_rays(camera, height, width), (height, width)
        each = [one.layer(rays, points_per_chunk) for one in self.objects]
        parts = zip(*((x.rgb, x.opacity, x.disparity, x.near) for x in each), strict=True)
        merged = merge_layers(Layers(*(torch.cat(part) for part in parts)))
        through = rays_to_image(1 - merged.opacity[0, ..., None], *size)
        behind = resized(background, *size) if isinstance(background, Tensor) else background
        disparity = merged.disparity[0] / axis_cosine(rays, camera)
        nearest = merged.near.amin()
        highest = torch.where(nearest.isfinite(), 1 / nearest, 0.0)
        return View(
            (rays_to_image(merged.rgb[0], *size) + through * behind).clamp(0, 1),
            disparity.reshape(1, *size),
            merged.opacity[0].reshape(1, *size),
            torch.stack([torch.zeros_like(highest), highest])[None],
        )
