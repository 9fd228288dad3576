from pathlib import Path

import pytest
import torch
from known_box import SIDE, write_box

from benchmarks.known_views import read_objects
from benchmarks.novel_cameras import camera_at, check_taken
from datamodules.errors import DataError
from renderers.cameras import Camera


def test_cameras_of_another_frame_are_refused(tmp_path: Path) -> None:
    views = read_objects(write_box(tmp_path), SIDE)["vehicle_box-a-00"]
    taken = camera_at(views.camera, 3)
    check_taken("shards", taken, views)
    turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(DataError, match="shards has a camera of vehicle/box-a-00 and its other"):
        check_taken("shards", Camera(turn @ taken.cam2world, taken.intrinsics), views)
