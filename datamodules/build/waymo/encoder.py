"""One crop to one encoded sample: image, mask, LiDAR depth, rays and attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from datamodules.build.encode import (
    encode_depth,
    encode_jpeg,
    encode_mask,
    encode_png,
    encode_rays,
)
from datamodules.build.keys import make_key
from datamodules.build.prepare import ImageFormat
from datamodules.build.waymo.codec import RayCodec, roughness
from datamodules.build.waymo.crop import Square
from datamodules.build.waymo.masks import check_object_seen, distances_of_object, mask_codes
from datamodules.build.waymo.ray_frames import BoxRays, refined_from_box, resized_rays
from datamodules.build.waymo.records import Records
from datamodules.build.waymo.schema import (
    AUTO_LABEL,
    CAMERA_SENSOR,
    RAY,
    RAY_COMPRESSED,
    REFINED_POSE,
)
from datamodules.build.waymo.segments import Filters, Join
from datamodules.build.waymo.tables import Row, RowError
from datamodules.build.writer import EncodedSample
from datamodules.image_bytes import decode_image, decode_map
from datamodules.modalities import DISPARITY_MAX, MASK_UNKNOWN, visible_share

_ROUGH = 3.0  # how often the roughness of decoded rays stored ones may be off
_FINEST = 5e-7  # radians that float32 can tell apart


@dataclass(frozen=True)
class CropEncoder:
    """Makes samples of crops.

    resolution  side of the stored squares in pixels
    ray_tolerance  metres by which stored rays may be off where they pass the object, beside what
                   their compression had them off
    """

    resolution: int
    filters: Filters
    ray_tolerance: float = 1e-4
    image_format: ImageFormat = "jpg"
    quality: int = 95

    def sample(
        self, join: Join, records: Records, codec: RayCodec | None, crop: int
    ) -> EncodedSample:
        """The sample of a crop; RowError if it cannot become one.

        Args:
            codec: of the compressed rays, None if there are none.
        """
        camera, label = join.row(CAMERA_SENSOR, crop), join.row(AUTO_LABEL, crop)
        image = _image(camera)
        size = image.shape[0], image.shape[1]
        if min(size) < self.filters.min_side:  # whatever the camera's region says
            raise RowError(f"under --min_side {self.filters.min_side} pixels ({min(size)})")
        square = Square(*size, self.resolution)
        semantic, own = (
            square.nearest(_map(label, name, size)) for name in ("semantic_mask", "object_mask")
        )
        distances = square.scattered(_distances(camera, size))
        rays, noise = _rays(join, codec, crop, square)
        size_xyz = records.sizes[crop][[0, 2, 1]]
        codes = mask_codes(semantic, own > 0, distances, *rays, size_xyz)
        codes[~square.inside] = MASK_UNKNOWN
        check_object_seen(codes, *rays, size_xyz)
        if (share := visible_share(codes)) < self.filters.min_visible:
            raise RowError(f"under --min_visible {self.filters.min_visible:g} ({share:.3f})")
        record = records.record(crop) | {"crop": list(size), "visible": round(share, 4)}
        distances = distances_of_object(distances, codes, *rays, size_xyz)
        disparity, unit = metric_disparity(distances)
        if unit is not None:
            record["disparity_unit"] = unit
        if self.filters.refined:
            rays = rays.moved(_refined(join, records, crop))
        pixels = square.image(Image.fromarray(image))
        is_png = self.image_format == "png"
        return EncodedSample(
            key=make_key(str(record["segment"]), join.keys[crop].partition("/")[2]),
            image_bytes=encode_png(pixels) if is_png else encode_jpeg(pixels, self.quality),
            image_ext=self.image_format,
            json_record=record,
            depth_png=encode_depth(disparity, sparse=True),
            mask_png=encode_mask(codes),
            rays_npz=self._encoded(rays, records.sizes[crop], noise),
        )

    def _encoded(self, rays: BoxRays, size: np.ndarray, noise: float) -> bytes:
        """Rays thinned out so that they are off by `ray_tolerance` at most up to the box's end, or,
        of compressed ones, by about as much as compression has them off (`noise`, in radians)."""
        middle = rays.origins[self.resolution // 2, self.resolution // 2]
        reach = float(np.linalg.norm(middle) + np.linalg.norm(size) / 2)
        half = self.ray_tolerance / 2
        try:
            return encode_rays(*rays, half, max(half / reach, noise, _FINEST))
        except ValueError as error:  # a refined pose may move them out of all range
            raise RowError(f"its {error}") from error


def metric_disparity(distances: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Disparity (H, W) uint16, 0 unknown, of distances (H, W) in metres along the rays, 0 unknown.

    The nearest pixel is 65535. Also gives the 1/m of one step, so that the distance is
    1 / (code · step); None where nothing is known.
    """
    known = np.flatnonzero(distances > 0)
    codes = np.zeros(distances.shape, np.uint16)
    if not len(known):
        return codes, None
    near = distances.ravel()[known].astype(np.float64)
    step = float(1 / near.min() / DISPARITY_MAX)
    codes.ravel()[known] = np.clip(np.rint(1 / (near * step)), 1, DISPARITY_MAX)
    return codes, step


def _image(camera: Row) -> np.ndarray:
    try:
        return decode_image(bytes(camera.content("rgb_image")), "png")
    except RowError:
        raise
    except ValueError as error:
        raise RowError(f"bad rgb_image ({error})") from error


def _map(row: Row, name: str, size: tuple[int, int]) -> np.ndarray:
    """A PNG of 8 bits of the image's size."""
    content = bytes(row.content(name))
    try:
        return decode_map(content, 8, size, name)
    except ValueError as error:
        raise RowError(f"bad {name} ({error})") from error


def _distances(camera: Row, size: tuple[int, int]) -> np.ndarray:
    """Metres (H, W) along the rays to the first LiDAR return, 0 where there is none."""
    distances = camera.tensor("proj_points_dist", 2)
    if distances.shape != size:
        raise RowError(
            f"proj_points_dist is of another size than its image ({list(distances.shape)}, "
            f"{size[0]} x {size[1]})"
        )
    valid = (_map(camera, "proj_points_mask", size) > 0) & np.isfinite(distances) & (distances > 0)
    return np.where(valid, distances, np.float32(0))


def _rays(join: Join, codec: RayCodec | None, crop: int, square: Square) -> tuple[BoxRays, float]:
    """Rays (r, r, 3) in the box frame, and how far their directions are off by compression."""
    compressed = not join.has_row(RAY, crop)
    if compressed:
        row = join.row(RAY_COMPRESSED, crop)
        assert codec is not None  # as the folder is there
        found = codec.decode(*map(row.numbers, ("reference", "quantized_values", "shape")))
    else:
        row = join.row(RAY, crop)
        found = row.tensor("ray_origin", 3), row.tensor("ray_direction", 3)
    for vectors in found:
        if vectors.shape != (square.height, square.width, 3):
            raise RowError(
                f"its rays are of another size than its image ({list(vectors.shape)}, "
                f"{square.height} x {square.width})"
            )
    rays = resized_rays(square, *found)
    return rays, _ROUGH * roughness(found[1]) if compressed else 0.0


def _refined(join: Join, records: Records, crop: int) -> np.ndarray:
    pose = join.row(REFINED_POSE, crop).numbers("box_from_vehicle.transform")
    if pose.size != 16:
        raise RowError(f"its refined pose is no matrix ({pose.size} numbers)")
    return refined_from_box(
        pose.reshape(4, 4), records.centers[crop], float(records.headings[crop])
    )
