"""Crops seen by a pinhole camera, written as Waymo's parquet files are, and its ray codec. As a
command it writes a folder of them, for `python -m benchmarks.waymo`."""

from __future__ import annotations

import argparse
import copy
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from ray_encoder import RayEncoder

CAR, ROAD, VEGETATION, SKY, POLE = 2, 20, 24, 25, 15
SIZE = np.array([4.6, 1.9, 1.6])
RADIUS = 0.7
"""The object is a ball around the middle of its box."""


@dataclass
class CropRow:
    """What the files hold of one crop."""

    number: int
    segment: str
    rgb: np.ndarray
    semantic: np.ndarray
    own: np.ndarray
    distances: np.ndarray
    origins: np.ndarray
    directions: np.ndarray
    box_type: int = 1
    points: int = 50
    size: np.ndarray = field(default_factory=SIZE.copy)
    camera: int = 1
    center: tuple[float, float, float] = (12.0, -3.0, 0.8)
    heading: float = 0.4

    @property
    def key(self) -> str:
        return f"{self.segment}/{1000 + self.number}/object{self.number}/{self.camera}"


def pinhole_rays(
    height: int,
    width: int,
    distance: float = 15.0,
    focal: float = 0.0,
    yaw: float = 0.6,
    rows: np.ndarray | None = None,
    columns: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rays (H, W, 3) in Waymo's box frame of a crop that shows the box, a little off its middle, at
    the centres of its pixels, or at rows and columns in pixels."""
    rows = np.arange(height) if rows is None else rows
    columns = np.arange(width) if columns is None else columns
    focal = focal or 0.8 * max(height, width) * distance / SIZE[0]
    origin = distance * np.array([-np.cos(yaw), -np.sin(yaw), 0.1])
    forward = -origin / np.linalg.norm(origin)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    u = (columns + 0.5 - width * 0.48) / focal
    v = (rows + 0.5 - height * 0.53) / focal
    directions = forward + u[None, :, None] * right + v[:, None, None] * down
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.broadcast_to(origin, directions.shape), directions


def crop_row(
    number: int, height: int = 60, width: int = 44, segment: str = "seg_a", **camera: float
) -> CropRow:
    """A red ball before trees and a road, behind a pole; LiDAR at one pixel of 8."""
    origins, directions = pinhole_rays(height, width, **camera)
    middle = -(origins * directions).sum(-1)
    squared = (origins**2).sum(-1) - middle**2
    own = squared < RADIUS**2
    semantic = np.full((height, width), VEGETATION, np.uint8)
    semantic[: height // 10] = SKY
    semantic[-height // 10 :] = ROAD
    semantic[own] = CAR
    distances = np.where(own, middle - np.sqrt(np.maximum(RADIUS**2 - squared, 0)), middle + 20)
    pole = slice(width // 8, width // 8 + max(width // 16, 1))
    semantic[:, pole], own[:, pole], distances[:, pole] = POLE, False, middle[:, pole] / 2
    rgb = np.full((height, width, 3), 90, np.uint8)
    rgb[semantic == VEGETATION] = 30, 120, 40
    rgb[own] = 220, 20, 20
    noise = np.random.default_rng(number).integers(0, 8, (height, width, 1), np.uint8)
    drawn = np.random.default_rng(number + 1).random((height, width)) < 1 / 8
    drawn &= semantic != SKY
    return CropRow(
        number,
        segment,
        rgb + noise,
        semantic,
        own,
        np.where(drawn, distances, 0).astype(np.float32),
        origins.astype(np.float32),
        directions.astype(np.float32),
    )


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


CROP_KEY = {
    "key.segment_context_name": pa.string(),
    "key.frame_timestamp_micros": pa.int64(),
    "key.laser_object_id": pa.string(),
    "key.camera_name": pa.int8(),
}
OBJECT_KEY = dict(list(CROP_KEY.items())[:3])
FRAME_KEY = dict(list(CROP_KEY.items())[:2])
FLOATS, INTS = pa.list_(pa.float32()), pa.list_(pa.int32())
TAGS = {
    "camera_sensor": "ObjectAssetCameraSensorComponent",
    "auto_label": "ObjectAssetAutoLabelComponent",
    "ray": "ObjectAssetRayComponent",
    "ray_compressed": "ObjectAssetRayCompressedComponent",
    "lidar_sensor": "ObjectAssetLiDARSensorComponent",
    "refined_pose": "ObjectAssetRefinedPoseComponent",
    "lidar_box": "LiDARBoxComponent",
    "lidar_camera_synced_box": "LiDARCameraSyncedBoxComponent",
    "stats": "StatsComponent",
}
ASSETS = tuple(TAGS)[:6]


def _number(names: str, kind: pa.DataType) -> dict[str, pa.DataType]:
    return dict.fromkeys(names.split(), kind)


BOX = "center.x center.y center.z size.x size.y size.z heading"
COLUMNS: Mapping[str, Mapping[str, pa.DataType]] = {
    "camera_sensor": CROP_KEY
    | _number(
        "camera_region.center.x camera_region.center.y camera_region.size.x camera_region.size.y",
        pa.float64(),
    )
    | {"rgb_image": pa.binary(), "proj_points_dist.values": FLOATS}
    | {"proj_points_dist.shape": pa.list_(pa.int32(), 2), "proj_points_mask": pa.binary()},
    "auto_label": CROP_KEY | _number("semantic_mask instance_mask object_mask", pa.binary()),
    "ray": CROP_KEY
    | _number("ray_origin.values ray_direction.values", FLOATS)
    | _number("ray_origin.shape ray_direction.shape", pa.list_(pa.int32(), 3)),
    "ray_compressed": CROP_KEY | {"reference": FLOATS, "quantized_values": INTS, "shape": INTS},
    "lidar_sensor": OBJECT_KEY
    | {"points_xyz.values": FLOATS, "points_xyz.shape": pa.list_(pa.int32(), 2)},
    "refined_pose": OBJECT_KEY | {"box_from_vehicle.transform": pa.list_(pa.float64(), 16)},
    "lidar_box": OBJECT_KEY
    | _number(" ".join(f"box.{name}" for name in BOX.split()), pa.float64())
    | _number("speed.x speed.y speed.z", pa.float64())
    | {"type": pa.int8(), "num_lidar_points_in_box": pa.int64()},
    "lidar_camera_synced_box": OBJECT_KEY
    | _number(" ".join(f"camera_synced_box.{name}" for name in BOX.split()), pa.float64())
    | {"most_visible_camera_name": pa.int8()},
    "stats": FRAME_KEY | _number("time_of_day weather location", pa.string()),
}


def _tensor(name: str, values: np.ndarray) -> dict[str, Any]:
    return {f"{name}.values": values.ravel(), f"{name}.shape": list(values.shape)}


def _box(row: CropRow, prefix: str) -> dict[str, Any]:
    values = (*row.center, *row.size, row.heading)
    return {f"{prefix}.{name}": float(v) for name, v in zip(BOX.split(), values, strict=True)}


def values_of(row: CropRow, component: str, codec: RayEncoder | None) -> dict[str, Any]:
    """A crop's row in one component."""
    height, width = row.own.shape
    key = dict(zip(CROP_KEY, row.key.split("/"), strict=True))
    key |= {"key.frame_timestamp_micros": 1000 + row.number, "key.camera_name": row.camera}
    values: dict[str, Any] = {}
    if component == "camera_sensor":
        values = {"rgb_image": png(row.rgb), **_tensor("proj_points_dist", row.distances)}
        values |= {"camera_region.size.x": float(width), "camera_region.size.y": float(height)}
        values |= {"camera_region.center.x": 900.0, "camera_region.center.y": 600.0}
        values["proj_points_mask"] = png(np.where(row.distances > 0, 255, 0).astype(np.uint8))
    elif component == "auto_label":
        instances = row.own.astype(np.uint16) * 700
        values = {"semantic_mask": png(row.semantic), "instance_mask": png(instances)}
        values["object_mask"] = png(row.own.astype(np.uint8))
    elif component == "ray":
        values = _tensor("ray_origin", row.origins) | _tensor("ray_direction", row.directions)
    elif component == "ray_compressed":
        assert codec is not None
        values = codec.encode(np.concatenate([row.origins, row.directions], -1))
    elif component == "lidar_sensor":
        values = _tensor("points_xyz", np.zeros((row.points, 3), np.float32))
    elif component == "refined_pose":
        values = {"box_from_vehicle.transform": refined_pose(row).ravel()}
    elif component == "lidar_box":
        values = _box(row, "box") | {"type": row.box_type, "num_lidar_points_in_box": row.points}
        values |= {"speed.x": 3.0, "speed.y": 4.0, "speed.z": 0.0}
    elif component == "lidar_camera_synced_box":
        values = _box(row, "camera_synced_box") | {"most_visible_camera_name": row.camera}
    else:
        times = ("Day", "Dawn/Dusk", "Night")
        values = {"time_of_day": times[row.number % 3], "weather": "Sunny", "location": "SF"}
    return {name: key[name] for name in key if name in COLUMNS[component]} | values


def refined_pose(row: CropRow) -> np.ndarray:
    """From the vehicle's frame to a box that is 0.2 m further on and turned by 0.1 radians."""
    angle = row.heading + 0.1
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = np.add(row.center, (0.2, 0.0, 0.0))
    return np.linalg.inv(pose)


def fitted(rows: Sequence[CropRow], **settings: int) -> RayEncoder:
    rays = [np.concatenate([row.origins, row.directions], -1) for row in rows]
    return RayEncoder.fit(rays, **settings)


def folder_of(root: Path, component: str, kind: str = "veh") -> Path:
    return root / (f"{kind}_asset_{component}" if component in ASSETS else component)


@dataclass
class Changes:
    """What is different from whole files.

    without  (component, number) of rows that are left out
    values   what a row has in a column instead
    """

    without: Collection[tuple[str, int]] = ()
    values: Mapping[tuple[str, int, str], Any] = field(default_factory=dict)


def write_segment(
    root: Path,
    rows: Sequence[CropRow],
    components: Collection[str] = tuple(TAGS),
    kind: str = "veh",
    changes: Changes = Changes(),
    group: int = 4,
    codec: RayEncoder | None = None,
) -> None:
    """Write a file of every component for the rows of one segment."""
    codec = codec or fitted(rows)
    for component in components:
        table = []
        for row in rows:
            if (component, row.number) not in changes.without:
                values = values_of(row, component, codec)
                values |= {
                    column: value
                    for (of, number, column), value in changes.values.items()
                    if (of, number) == (component, row.number)
                }
                table.append(values)
        write_table(folder_of(root, component, kind), rows[0].segment, component, table, group)
        if component == "ray_compressed":
            path = folder_of(root, component, kind) / "codec_config.json"
            path.write_text(json.dumps(codec.config()))


def schema_of(component: str) -> pa.Schema:
    tag = TAGS[component]
    return pa.schema(
        [
            (name if name.startswith("key.") else f"[{tag}].{name}", kind)
            for name, kind in COLUMNS[component].items()
        ]
    )


def write_table(
    folder: Path, segment: str, component: str, rows: Sequence[Mapping[str, Any]], group: int
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    schema, path = schema_of(component), folder / f"{segment}.parquet"
    names = list(COLUMNS[component])
    arrays = [
        pa.array([row[name] for row in rows], type=kind)
        for name, kind in zip(names, schema.types, strict=True)
    ]
    found = pa.table(arrays, schema=schema)
    if path.exists():  # of pedestrians: boxes are in the file of vehicles
        found = pa.concat_tables([pq.read_table(path), found])
    pq.write_table(found, path, row_group_size=group)


def main() -> None:
    """Write crops of 200 to 300 pixels, or other sides, without uncompressed rays; those of
    pedestrians after those of vehicles, whose files they share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--crops", type=int, default=400)
    parser.add_argument("--sides", type=int, nargs=2, default=(200, 300), help="least and most")
    parser.add_argument("--kind", choices=("veh", "ped"), default="veh")
    given = parser.parse_args()
    pedestrian = given.kind == "ped"
    random = np.random.default_rng(0)
    different = [crop_row(n, *random.integers(*given.sides, 2), "seg_a") for n in range(24)]
    rows = [copy.copy(different[(n + 12 * pedestrian) % 24]) for n in range(given.crops)]
    for number, row in enumerate(rows):
        row.number, row.box_type = number + 1_000_000 * pedestrian, 1 + pedestrian
    absent = ("ray", "refined_pose") if pedestrian else ("ray",)
    components = [name for name in TAGS if name not in absent]
    codec = fitted(different)
    write_segment(given.out, rows, components, given.kind, group=50, codec=codec)


if __name__ == "__main__":
    main()
