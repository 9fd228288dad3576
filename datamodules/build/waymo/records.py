"""Attributes of crops: what the json of a sample says beside what pixels tell."""

from __future__ import annotations

import numpy as np

from datamodules.build.waymo.schema import (
    BOX_SIZE,
    CAMERAS,
    LIDAR_BOX,
    STATS,
    SYNCED_BOX,
    TIMES,
    Kind,
)
from datamodules.build.waymo.segments import Join

_AXES = ("x", "y", "z")


class Records:
    """Attributes of the crops of one segment.

    sizes     (n, 3) length, width, height of the labelled box in metres
    centers   (n, 3) its centre in the vehicle's frame at the time of the frame
    headings  (n,)   its heading there, in radians from x towards y
    """

    def __init__(self, kind: Kind, classes: tuple[Kind, ...], join: Join) -> None:
        self._kind, self._label, self._join = kind, classes.index(kind), join
        self.sizes = np.stack([join.floats(LIDAR_BOX, name) for name in BOX_SIZE], 1)
        self.centers = _vectors(join, "box.center.")
        self.headings = join.floats(LIDAR_BOX, "box.heading")
        self._points = join.points()
        self._speeds = np.linalg.norm(_vectors(join, "speed."), axis=1)
        self._cameras = join.floats(SYNCED_BOX, "most_visible_camera_name")
        table = join.tables.get(STATS.tag)
        self._stats = {
            name: table.texts(STATS.full(name)) if table is not None else []
            for name in STATS.columns
        }

    def record(self, crop: int) -> dict[str, object]:
        """The json record of a crop; what is not known is left out."""
        segment, timestamp, *track, camera = self._join.keys[crop].split("/")
        found: dict[str, object] = {
            "label": self._label,
            "class": self._kind,
            "size": [round(side, 4) for side in self.sizes[crop].tolist()],
            "segment": segment,
            "timestamp": int(timestamp),
            "track": "/".join(track),
            "camera": CAMERAS.get(int(camera), camera),
            "lidar_points": int(self._points[crop]),
        }
        if np.isfinite(self._speeds[crop]):
            found["speed"] = round(float(self._speeds[crop]), 3)
        if np.isfinite(self._cameras[crop]):
            found["most_visible_camera"] = CAMERAS.get(int(self._cameras[crop]), "none")
        return found | self._conditions(crop)

    def _conditions(self, crop: int) -> dict[str, object]:
        """Time of day, weather and place."""
        if not self._join.has_row(STATS, crop):
            return {}
        row = int(self._join.rows[STATS.tag][crop])
        stats = {name: texts[row] for name, texts in self._stats.items()}
        stats["time_of_day"] = TIMES.get(stats["time_of_day"] or "")
        return {name: text for name, text in stats.items() if text is not None}


def _vectors(join: Join, prefix: str) -> np.ndarray:
    """Vectors (n, 3) of a column of lidar_box for each axis."""
    return np.stack([join.floats(LIDAR_BOX, prefix + axis) for axis in _AXES], 1)
