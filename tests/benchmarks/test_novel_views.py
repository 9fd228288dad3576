from pathlib import Path

import pytest
import torch
from known_box import SIDE, write_box
from tiny_boxes import box_model
from tiny_model import tiny_model

from benchmarks.known_views import read_objects
from benchmarks.novel_cameras import camera_at, check_taken, placed, unit_of
from datamodules.errors import DataError
from models.scenes import Scenes
from models.spaces import ContractedSpace
from renderers.cameras import Camera
from renderers.ray_sampling import RaySampling


def test_cameras_of_another_frame_are_refused(tmp_path: Path) -> None:
    views = read_objects(write_box(tmp_path), SIDE)["vehicle_box-a-00"]
    taken = camera_at(views.camera, 3)
    check_taken("shards", taken, views)
    turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(DataError, match="shards has a camera of vehicle/box-a-00 and its other"):
        check_taken("shards", Camera(turn @ taken.cam2world, taken.intrinsics), views)


def wall(planes: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Solid behind z = 0, which the canonical camera looks at from the front."""
    return 1e4 * (points[..., 2] < 0).float(), torch.zeros_like(points)


def test_worlds_of_unknown_scale_are_scaled_to_the_objects_depth(tmp_path: Path) -> None:
    views = read_objects(write_box(tmp_path), SIDE)["vehicle_box-a-00"]
    taken, model = camera_at(views.camera, 3), tiny_model()
    scene = Scenes(
        torch.zeros(1, 3, 1, 2, 2),
        wall,
        ContractedSpace(),
        RaySampling(64, 64, "distance"),
        model.view.camera(),
    )
    unit = unit_of(model, scene, taken, views)
    seen = views.depth[3][views.mask[3]].median()
    assert unit == pytest.approx(model.view.radius / float(seen), rel=0.02)
    cameras = placed(model, taken, views.camera, unit)
    torch.testing.assert_close(
        cameras.cam2world[3], model.view.camera().cam2world[0], atol=1e-4, rtol=0
    )
    apart, true = (torch.pdist(one.position) for one in (cameras, views.camera))
    torch.testing.assert_close(apart, unit * true, atol=1e-4, rtol=1e-4)
    assert unit_of(box_model(), scene, taken, views) == 1
    assert placed(box_model(), taken, views.camera, 1.0) is views.camera
