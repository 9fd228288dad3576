"""Components of the Waymo Open Dataset v2 that are read: folders, keys, columns and their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from datamodules.modalities import TimeOfDay

Kind = Literal["vehicle", "pedestrian"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PREFIXES: Final[Mapping[Kind, str]] = {"vehicle": "veh", "pedestrian": "ped"}
BOX_TYPES: Final[Mapping[Kind, int]] = {"vehicle": 1, "pedestrian": 2}
BOX_TYPE_UNKNOWN: Final = 0
CAMERAS: Final = {1: "front", 2: "front_left", 3: "front_right", 4: "side_left", 5: "side_right"}
TIMES: Final[Mapping[str, TimeOfDay]] = {
    "Day": "day",
    "Dawn/Dusk": "dawn_dusk",
    "Night": "night",
}

ColumnType = Literal["text", "number", "numbers", "bytes"]
SEGMENT: Final = "key.segment_context_name"
TIMESTAMP: Final = "key.frame_timestamp_micros"
OBJECT: Final = "key.laser_object_id"
CAMERA: Final = "key.camera_name"
_KEY_TYPES: Final[Mapping[str, ColumnType]] = {
    SEGMENT: "text",
    TIMESTAMP: "number",
    OBJECT: "text",
    CAMERA: "number",
}
OF_FRAME: Final = (SEGMENT, TIMESTAMP)
OF_OBJECT: Final = (SEGMENT, TIMESTAMP, OBJECT)
OF_CROP: Final = (SEGMENT, TIMESTAMP, OBJECT, CAMERA)


@dataclass(frozen=True)
class Component:
    """One table of the data set: a folder of parquet files, one a segment.

    folder   its name; `{}` stands for `veh` or `ped`
    tag      its name in the names of columns, `[tag].name`
    keys     columns that are equal in rows that belong together
    columns  those that are read, without the tag, and what they hold
    """

    folder: str
    tag: str
    keys: tuple[str, ...]
    columns: Mapping[str, ColumnType]

    def full(self, name: str) -> str:
        """A column's name in the file."""
        return f"[{self.tag}].{name}"

    def types(self) -> dict[str, ColumnType]:
        """Every column that is read, keys included, by its name in the file."""
        named = {self.full(name): kind for name, kind in self.columns.items()}
        return {key: _KEY_TYPES[key] for key in self.keys} | named

    def path(self, root: Path, kind: Kind) -> Path:
        """Its folder for one kind of object."""
        return root / self.folder.format(PREFIXES[kind])


def _numbers(prefix: str, names: str) -> dict[str, ColumnType]:
    return {f"{prefix}{name}": "number" for name in names.split()}


def _tensor(name: str) -> dict[str, ColumnType]:
    return {f"{name}.values": "numbers", f"{name}.shape": "numbers"}


CAMERA_SENSOR: Final = Component(
    "{}_asset_camera_sensor",
    "ObjectAssetCameraSensorComponent",
    OF_CROP,
    _numbers("camera_region.size.", "x y")
    | {"rgb_image": "bytes", "proj_points_mask": "bytes"}
    | _tensor("proj_points_dist"),
)
AUTO_LABEL: Final = Component(
    "{}_asset_auto_label",
    "ObjectAssetAutoLabelComponent",
    OF_CROP,
    {"semantic_mask": "bytes", "object_mask": "bytes"},
)
RAY: Final = Component(
    "{}_asset_ray",
    "ObjectAssetRayComponent",
    OF_CROP,
    _tensor("ray_origin") | _tensor("ray_direction"),
)
RAY_COMPRESSED: Final = Component(
    "{}_asset_ray_compressed",
    "ObjectAssetRayCompressedComponent",
    OF_CROP,
    {"reference": "numbers", "quantized_values": "numbers", "shape": "numbers"},
)
POINTS: Final = "points_xyz.shape"
LIDAR_SENSOR: Final = Component(
    "{}_asset_lidar_sensor",
    "ObjectAssetLiDARSensorComponent",
    OF_OBJECT,
    {POINTS: "numbers"},
)
REFINED_POSE: Final = Component(
    "{}_asset_refined_pose",
    "ObjectAssetRefinedPoseComponent",
    OF_OBJECT,
    {"box_from_vehicle.transform": "numbers"},
)
BOX_SIZE: Final = ("box.size.x", "box.size.y", "box.size.z")
LIDAR_BOX: Final = Component(
    "lidar_box",
    "LiDARBoxComponent",
    OF_OBJECT,
    _numbers("box.size.", "x y z")
    | _numbers("box.center.", "x y z")
    | _numbers("speed.", "x y z")
    | _numbers("", "box.heading type num_lidar_points_in_box"),
)
SYNCED_BOX: Final = Component(
    "lidar_camera_synced_box",
    "LiDARCameraSyncedBoxComponent",
    OF_OBJECT,
    _numbers("", "most_visible_camera_name"),
)
STATS: Final = Component(
    "stats",
    "StatsComponent",
    OF_FRAME,
    {"time_of_day": "text", "weather": "text", "location": "text"},
)
REQUIRED: Final = (CAMERA_SENSOR, AUTO_LABEL, LIDAR_BOX)
OPTIONAL: Final = (RAY, RAY_COMPRESSED, LIDAR_SENSOR, REFINED_POSE, SYNCED_BOX, STATS)
CODEC_CONFIG: Final = "codec_config.json"
