from pathlib import Path

import pytest
import torch
from known_box import SIDE, SIDES, write_box
from tiny_boxes import box_model
from tiny_model import tiny_model

from benchmarks.known_views import read_objects
from benchmarks.novel_cameras import angles, camera_at, check_taken, placed, unit_of
from benchmarks.novel_views import bins, figures
from datamodules.errors import DataError
from models.scenes import Scenes
from models.spaces import ContractedSpace, SceneBoxes
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


def painted(planes: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Solid everywhere, in the colour of the known box."""
    colour = torch.tensor([40.0, 90.0, 140.0]) / 255
    return torch.full_like(points[..., 0], 1e4), colour.expand_as(points)


def test_a_scene_that_is_the_object_is_right_from_everywhere(tmp_path: Path) -> None:
    views = read_objects(write_box(tmp_path), SIDE)["vehicle_box-a-00"]
    model, length, height = box_model(), SIDES[2], SIDES[1]

    def measured(width: float) -> torch.Tensor:
        extents = torch.tensor([[length, height, width]]) / 2  # the front is towards +x
        sampling = RaySampling(48, 48, "distance")
        planes = torch.zeros(1, 3, 1, 2, 2)
        scene = Scenes(planes, painted, SceneBoxes(extents), sampling, model.view.camera())
        return figures(model, scene, camera_at(views.camera, 3), views)

    found, wide = measured(SIDES[0]), measured(2 * SIDES[0])
    psnr, iou, error = found.unbind(1)
    assert psnr.min() > 22
    assert iou.min() > 0.95
    assert error.max() < 0.01
    assert (wide[:, 1] < 0.9).sum() > 12
    assert wide[:, 2].max() > 0.05


def test_the_input_is_no_novel_view(tmp_path: Path) -> None:
    views = read_objects(write_box(tmp_path), SIDE)["vehicle_box-a-00"]
    taken = camera_at(views.camera, 3)
    found, apart = bins(taken, views), angles(taken, views.camera)
    assert [n for n, bin_ in enumerate(found) if bin_ == 0] == [3]
    edges = (0.0, 30.0, 60.0, 120.0, 180.1)
    for view in {*range(len(found))} - {3}:
        assert edges[found[view] - 1] <= apart[view] <= edges[found[view]]
