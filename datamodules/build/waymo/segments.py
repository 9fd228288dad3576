"""Files of a segment, and which of their rows belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.build.waymo.schema import (
    AUTO_LABEL,
    BOX_SIZE,
    BOX_TYPE_UNKNOWN,
    BOX_TYPES,
    CAMERA_SENSOR,
    LIDAR_BOX,
    LIDAR_SENSOR,
    OF_CROP,
    OF_FRAME,
    OF_OBJECT,
    OPTIONAL,
    POINTS,
    RAY,
    RAY_COMPRESSED,
    REFINED_POSE,
    REQUIRED,
    Component,
    Kind,
)
from datamodules.build.waymo.tables import Row, RowError, Table, positions
from datamodules.errors import DataError


@dataclass(frozen=True)
class Filters:
    """Limits that crops are held to.

    min_points   LiDAR points on the object
    min_side     pixels of the crop's shorter side
    min_visible  share of the object's pixels among those of the object and of occluders
    refined      whether the object needs a refined pose
    """

    min_points: int = 10
    min_side: int = 32
    min_visible: float = 0.3
    refined: bool = False


@dataclass(frozen=True)
class Segment:
    """The files of one kind of object in one segment.

    root  folder of the folders of components
    name  name of the segment, and of its files but for the suffix
    """

    root: Path
    kind: Kind
    name: str

    def path(self, component: Component) -> Path:
        """Its file of a component, which need not exist."""
        return component.path(self.root, self.kind) / f"{self.name}.parquet"

    def files(self) -> list[Path]:
        """All files that are read."""
        paths = (self.path(component) for component in (*REQUIRED, *OPTIONAL))
        return [path for path in paths if path.exists()]


@dataclass(frozen=True)
class Join:
    """The crops of a segment, a row each in the file of the camera.

    keys    what they are called in messages
    tables  the files that there are, by component
    rows    (n,) row of each crop in each of them, -1 for none
    faults  (n,) why a crop cannot become a sample, "" where it can
    """

    keys: list[str]
    tables: Mapping[str, Table]
    rows: Mapping[str, np.ndarray]
    faults: np.ndarray

    def row(self, component: Component, crop: int) -> Row:
        """Row of a crop in a component's file; RowError if it has none."""
        if not self.has_row(component, crop):
            raise RowError(f"no row in {component.folder.removeprefix('{}_asset_')}")
        return self.tables[component.tag].row(int(self.rows[component.tag][crop]))

    def has_row(self, component: Component, crop: int) -> bool:
        """Whether a crop has a row in a component's file."""
        return component.tag in self.rows and bool(self.rows[component.tag][crop] >= 0)

    def has(self, component: Component) -> np.ndarray:
        """Whether crops (n,) have a row in a component's file."""
        rows = self.rows.get(component.tag)
        return np.zeros(len(self.keys), bool) if rows is None else rows >= 0

    def floats(self, component: Component, name: str) -> np.ndarray:
        """Numbers (n,) of the crops in a component's column, NaN where there is none."""
        found = np.full(len(self.keys), np.nan)
        if component.tag in self.tables:
            has = self.has(component)
            values = self.tables[component.tag].floats(component.full(name))
            found[has] = values[self.rows[component.tag][has]]
        return found

    def points(self) -> np.ndarray:
        """LiDAR points (n,) on the objects of the crops, by lidar_sensor if it is there, of which
        those without points have no row; NaN where they are null."""
        if LIDAR_SENSOR.tag in self.tables:
            return np.where(self.has(LIDAR_SENSOR), self.floats(LIDAR_SENSOR, POINTS), 0)
        return self.floats(LIDAR_BOX, "num_lidar_points_in_box")


def join_segment(segment: Segment, filters: Filters) -> Join:
    """Match the rows of a segment's files by their keys, and hold them to the limits that can be
    told without looking at pixels; only keys and numbers are read."""
    camera = Table(segment.path(CAMERA_SENSOR), CAMERA_SENSOR)
    levels: tuple[tuple[str, ...], ...] = (OF_CROP, OF_OBJECT, OF_FRAME)
    wanted = {keys: camera.keys(keys) for keys in levels}
    names = wanted[OF_CROP].to_pylist()
    tables, rows = {CAMERA_SENSOR.tag: camera}, {CAMERA_SENSOR.tag: np.arange(len(names))}
    for component in (*REQUIRED[1:], *OPTIONAL):
        if (path := segment.path(component)).exists():
            table = tables[component.tag] = Table(path, component)
            found = positions(wanted[component.keys], table.keys(component.keys))
            rows[component.tag] = found
    keys = [name or f"{segment.name}, row {row}" for row, name in enumerate(names)]
    join = Join(keys, tables, rows, np.full(len(keys), "", object))
    first = positions(wanted[OF_CROP], wanted[OF_CROP])
    _note(join, first < 0, "null in its key")
    _note(join, first != np.arange(len(keys)), "its key occurs twice")
    _check_rows(segment.kind, join, filters)
    _check_limits(join, filters)
    return join


def _check_rows(kind: Kind, join: Join, filters: Filters) -> None:
    """Note crops that lack a row elsewhere, or an object of the right type and of known size."""
    _note(join, ~join.has(AUTO_LABEL), "no row in auto_label")
    _note(join, ~(join.has(RAY) | join.has(RAY_COMPRESSED)), "no row in ray or ray_compressed")
    _note(join, ~join.has(LIDAR_BOX), "no row in lidar_box")
    if filters.refined:
        _note(join, ~join.has(REFINED_POSE), "no row in refined_pose")
    types = join.floats(LIDAR_BOX, "type")
    known = np.isfinite(types) & (types != BOX_TYPE_UNKNOWN)
    _note(join, known & (types != BOX_TYPES[kind]), f"its box is of no {kind}", "type {:g}", types)
    for name in BOX_SIZE:
        sizes = join.floats(LIDAR_BOX, name)
        _note(join, np.isnan(sizes), f"null {name}")
        _note(join, ~(np.isfinite(sizes) & (sizes > 0)), "its box has no extent", "{:g}", sizes)


def _check_limits(join: Join, filters: Filters) -> None:
    """Note crops with few LiDAR points, and small ones."""
    points = join.points()
    _note(join, np.isnan(points), "null number of LiDAR points")
    reason = f"under --min_points {filters.min_points} LiDAR points"
    _note(join, points < filters.min_points, reason, "{:g}", points)
    sides = [join.floats(CAMERA_SENSOR, f"camera_region.size.{axis}") for axis in "xy"]
    shorter = np.minimum(*sides)
    _note(join, np.isnan(shorter), "null camera_region")
    reason = f"under --min_side {filters.min_side} pixels"
    _note(join, shorter < filters.min_side, reason, "{:g}", shorter)


def _note(
    join: Join, where: np.ndarray, fault: str, detail: str = "", values: np.ndarray | None = None
) -> None:
    """Note a fault of crops that have none yet, with a value in brackets."""
    for crop in np.nonzero(where & (join.faults == ""))[0]:
        told = f" ({detail.format(values[crop])})" if values is not None else ""
        join.faults[crop] = fault + told


def find_segments(root: Path, kinds: Sequence[Kind]) -> list[Segment]:
    """The segments in a folder of components, in order of their names.

    Raises DataError if a component is missing, or has no file.
    """
    found = []
    for kind in kinds:
        for component in REQUIRED:
            if not component.path(root, kind).is_dir():
                raise DataError(_missing(root, component, kind))
        if not any(component.path(root, kind).is_dir() for component in (RAY, RAY_COMPRESSED)):
            raise DataError(_missing(root, RAY, kind))
        names = sorted(
            path.stem
            for path in CAMERA_SENSOR.path(root, kind).glob("*.parquet")
            if not path.name.startswith(".")
        )
        if not names:
            raise DataError(f"{CAMERA_SENSOR.path(root, kind)} has no .parquet files.")
        found += [Segment(root, kind, name) for name in names]
    return found


def _missing(root: Path, component: Component, kind: Kind) -> str:
    others = {"vehicle": "pedestrian", "pedestrian": "vehicle"}
    hint = f", or take --kinds {others[kind]} alone" if "{}" in component.folder else ""
    beside = f" or {RAY_COMPRESSED.path(root, kind).name}" if component is RAY else ""
    return f"{component.path(root, kind)}{beside} does not exist: download it{hint}."
