"""Cameras, and the one statement of the coordinate convention.

World: right-handed, +y up (as glTF). Camera: OpenCV axes (x right, y down, z forward). `cam2world`
maps homogeneous camera coordinates to the world. `intrinsics` are normalised by the image size
(fx/W, fy/H, cx/W, cy/H), so they hold at every resolution. Yaw 0 and pitch 0 put the camera on +z
looking along -z; positive yaw moves it towards +x, positive pitch towards +y. The pixel in row i,
column j has its centre at ((j + 0.5) / W, (i + 0.5) / H).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Angle = float | Tensor


@dataclass(frozen=True)
class Camera:
    """Pinhole cameras.

    cam2world: (..., 4, 4) float32 rigid pose; intrinsics: (..., 3, 3) float32, normalised by the
    image size.
    """

    cam2world: Tensor
    intrinsics: Tensor

    def __post_init__(self) -> None:
        """Raise ValueError unless the shapes are (..., 4, 4) and (..., 3, 3) of one batch."""
        pose, matrix = tuple(self.cam2world.shape), tuple(self.intrinsics.shape)
        if pose[-2:] != (4, 4) or matrix[-2:] != (3, 3) or pose[:-2] != matrix[:-2]:
            raise ValueError(
                "Camera takes cam2world (..., 4, 4) and intrinsics (..., 3, 3) of one batch, "
                f"got {pose} and {matrix}"
            )

    def __getitem__(self, index: int | slice | Tensor) -> Camera:
        """Index the leading batch axis."""
        return Camera(self.cam2world[index], self.intrinsics[index])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Camera:
        """Copy to `device`."""
        return Camera(
            self.cam2world.to(device, non_blocking=non_blocking),
            self.intrinsics.to(device, non_blocking=non_blocking),
        )

    @property
    def position(self) -> Tensor:
        """Centre of projection in the world, (..., 3)."""
        return self.cam2world[..., :3, 3]

    @property
    def forward(self) -> Tensor:
        """Unit viewing direction in the world, (..., 3)."""
        return self.cam2world[..., :3, 2]


def _as_tensor(value: float | Tensor, device: torch.device) -> Tensor:
    """A number as a tensor (), filled on its device: `torch.tensor` makes the host wait for it."""
    if isinstance(value, Tensor):
        return value.to(device, torch.float32)
    return torch.full((), value, dtype=torch.float32, device=device)


def _vector(values: Tensor | Sequence[float], device: torch.device) -> Tensor:
    if isinstance(values, Tensor):
        return values.to(device, torch.float32)
    return torch.stack([_as_tensor(value, device) for value in values])


def _pose(right: Tensor, down: Tensor, forward: Tensor, position: Tensor) -> Tensor:
    upper = torch.stack([right, down, forward, position], dim=-1)  # (..., 3, 4)
    last = torch.eye(4, device=upper.device)[3:].expand(*upper.shape[:-2], 1, 4)
    return torch.cat([upper, last], dim=-2)


def look_at(
    position: Tensor,
    target: Tensor | Sequence[float] = (0.0, 0.0, 0.0),
    up: Sequence[float] = (0.0, 1.0, 0.0),
) -> Tensor:
    """Return the cam2world (..., 4, 4) of a camera at `position` (..., 3) that looks at `target`.

    `up` is a world direction; where it is parallel to the view, world -z serves instead, so that
    the pose stays finite.

    >>> pose = look_at(torch.tensor([0.0, 0.0, 2.0]))
    >>> pose[:3, 2].tolist()  # the z axis of the camera in the world: it looks along -z
    [0.0, 0.0, -1.0]
    """
    position = position.float()
    goal = _vector(target, position.device)
    forward = torch.nn.functional.normalize(goal - position, dim=-1)
    up_vector = _vector(up, forward.device).expand_as(forward)
    right = torch.linalg.cross(forward, up_vector)
    parallel = right.norm(dim=-1, keepdim=True) < 1e-6
    behind = _vector((0.0, 0.0, -1.0), forward.device).expand_as(forward)
    substitute = torch.linalg.cross(forward, behind)
    right = torch.nn.functional.normalize(torch.where(parallel, substitute, right), dim=-1)
    return _pose(right, torch.linalg.cross(forward, right), forward, position)


def orbit_camera(
    yaw: Angle,
    pitch: Angle,
    radius: Angle,
    fov_degrees: Angle,
    target: Tensor | Sequence[float] = (0.0, 0.0, 0.0),
) -> Camera:
    """Return cameras on a sphere of `radius` around `target` that look at it, upright, defined at
    the poles too.

    yaw, pitch: radians; fov_degrees: horizontal field of view of a square image. All broadcast to
    the batch shape.

    >>> camera = orbit_camera(0.0, torch.tensor([0.0, math.pi / 6]), radius=2.0, fov_degrees=90.0)
    >>> camera.position
    tensor([[0.0000, 0.0000, 2.0000],
            [0.0000, 1.0000, 1.7321]])
    >>> camera.intrinsics[0, 0, 0]  # focal length in image widths
    tensor(0.5000)
    """
    given = (yaw, pitch, radius, fov_degrees)
    where = next((v.device for v in given if isinstance(v, Tensor)), torch.device("cpu"))
    yaws, pitches, radii, fov = torch.broadcast_tensors(*(_as_tensor(v, where) for v in given))
    sin_yaw, cos_yaw, sin_pitch, cos_pitch = yaws.sin(), yaws.cos(), pitches.sin(), pitches.cos()
    outward = torch.stack([sin_yaw * cos_pitch, sin_pitch, cos_yaw * cos_pitch], dim=-1)
    right = torch.stack([cos_yaw, torch.zeros_like(sin_yaw), -sin_yaw], dim=-1)
    down = torch.stack([sin_yaw * sin_pitch, -cos_pitch, cos_yaw * sin_pitch], dim=-1)
    centre = _vector(target, where)
    pose = _pose(right, down, -outward, centre + radii.unsqueeze(-1) * outward)
    return Camera(pose, intrinsics_from_fov(fov))


def fov_to_focal(fov_degrees: Angle) -> Tensor:
    """Return the focal length in image widths, 1 / (2 tan(fov / 2)); fov in degrees."""
    fov = torch.as_tensor(fov_degrees, dtype=torch.float32)
    return 0.5 / torch.tan(fov * (math.pi / 360.0))


def focal_to_fov(focal: Angle) -> Tensor:
    """Return the field of view in degrees for a focal length in image widths."""
    length = torch.as_tensor(focal, dtype=torch.float32)
    return torch.atan(0.5 / length) * (360.0 / math.pi)


def intrinsics_from_fov(fov_degrees: Angle, aspect: float = 1.0) -> Tensor:
    """Return normalised intrinsics (..., 3, 3) with square pixels and a centred principal point.

    fov_degrees: horizontal field of view; aspect: width / height.
    """
    focal = fov_to_focal(fov_degrees)
    zero, one, half = torch.zeros_like(focal), torch.ones_like(focal), torch.full_like(focal, 0.5)
    rows = [focal, zero, half, zero, focal * aspect, half, zero, zero, one]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def from_pixel_intrinsics(
    matrix: Tensor, height: int, width: int, pixel_centre: float = 0.5
) -> Tensor:
    """Normalise a pixel-unit calibration matrix (..., 3, 3) by the image size.

    pixel_centre: coordinate of the first pixel's centre in the source, 0.5 (COLMAP) or 0 (OpenCV
    calibration).

    >>> matrix = torch.tensor([[100.0, 0.0, 32.0], [0.0, 100.0, 16.0], [0.0, 0.0, 1.0]])
    >>> from_pixel_intrinsics(matrix, height=32, width=64)
    tensor([[1.5625, 0.0000, 0.5000],
            [0.0000, 3.1250, 0.5000],
            [0.0000, 0.0000, 1.0000]])
    """
    shifted = matrix.float().clone()
    shifted[..., :2, 2] += 0.5 - pixel_centre
    return shifted / shifted.new_tensor([[width], [height], [1.0]])


def to_pixel_intrinsics(
    intrinsics: Tensor, height: int, width: int, pixel_centre: float = 0.5
) -> Tensor:
    """Return pixel-unit intrinsics (..., 3, 3), the inverse of `from_pixel_intrinsics`."""
    scaled = intrinsics * intrinsics.new_tensor([[width], [height], [1.0]])
    scaled[..., :2, 2] -= 0.5 - pixel_centre
    return scaled


def from_opengl(cam2world: Tensor) -> Tensor:
    """Convert poses (..., 4, 4) from OpenGL camera axes (y up, z backward) to ours."""
    return cam2world * cam2world.new_tensor([1.0, -1.0, -1.0, 1.0])


def to_opengl(cam2world: Tensor) -> Tensor:
    """Convert our poses (..., 4, 4) to OpenGL camera axes (y up, z backward)."""
    return from_opengl(cam2world)


def transform(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Multiply 3-vectors (..., 3) by matrices (..., 3, 3) that broadcast against them.

    Written as a sum because autocast would round the operands of a matrix product to bfloat16,
    which moves a ray by pixels.
    """
    return (matrix * vectors.unsqueeze(-2)).sum(dim=-1)


def project(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Project world points (B, N, 3); return pixels (B, N, 2), x and y in [0, 1] inside the image,
    and z (B, N).

    Points behind the camera have z <= 0; their pixels mean nothing.

    >>> camera = orbit_camera(torch.zeros(1), 0.0, radius=2.0, fov_degrees=90.0)
    >>> pixels, z = project(torch.tensor([[[0.0, 0.0, 0.0], [0.5, 0.5, 1.0]]]), camera)
    >>> pixels
    tensor([[[0.5000, 0.5000],
             [0.7500, 0.2500]]])
    >>> z
    tensor([[2., 1.]])
    """
    rotation = camera.cam2world[..., :3, :3]
    local = transform(rotation.mT.unsqueeze(-3), points - camera.position.unsqueeze(-2))
    z = local[..., 2]
    image = transform(camera.intrinsics.unsqueeze(-3), local)
    safe = torch.where(z.abs() < 1e-8, torch.full_like(z, 1e-8), z)
    return image[..., :2] / safe.unsqueeze(-1), z


def distance_to_z(distance: Tensor, directions: Tensor, camera: Camera) -> Tensor:
    """Convert distance along unit rays (B, R), directions (B, R, 3), to optical-axis depth."""
    return distance * (directions * camera.forward.unsqueeze(-2)).sum(dim=-1)


def z_to_distance(z: Tensor, directions: Tensor, camera: Camera) -> Tensor:
    """Convert optical-axis depth (B, R) to distance along unit rays, directions (B, R, 3)."""
    return z / (directions * camera.forward.unsqueeze(-2)).sum(dim=-1)


def sphere_angles(uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Map numbers in [0, 1) (..., 2) to yaw, pitch (...) in radians, uniform on the sphere."""
    yaw = (uniform[..., 0] - 0.5) * (2.0 * math.pi)
    return yaw, torch.asin(2.0 * uniform[..., 1] - 1.0)


def cap_angles(
    uniform: Tensor, yaw_extent: float = math.pi / 8, pitch_extent: float = math.pi / 18
) -> tuple[Tensor, Tensor]:
    """Map numbers in [0, 1) (..., 2) to yaw, pitch (...) within +-extents, in radians."""
    centred = 2.0 * uniform - 1.0
    return centred[..., 0] * yaw_extent, centred[..., 1] * pitch_extent


def uniform_pairs(count: int, rng: torch.Generator) -> Tensor:
    """Draw (count, 2) uniform numbers in [0, 1) for `sphere_angles` and `cap_angles`."""
    return torch.rand(count, 2, generator=rng, device=rng.device)
