from typing import get_args

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.inference.camera_paths import (
    Trajectory,
    check_frames,
    check_size,
    trajectory_cameras,
)
from models.autoencoder import CanonicalView


@pytest.mark.parametrize("trajectory", get_args(Trajectory))
def test_every_path_moves_around_the_scene_at_its_distance(trajectory: Trajectory) -> None:
    cameras = trajectory_cameras(CanonicalView(3.0, 40.0, 0.4, 0.2), trajectory, 5)
    places, ahead = cameras.cam2world[:, :3, 3], cameras.cam2world[:, :3, 2]
    assert len(places) == 5
    torch.testing.assert_close(places.norm(dim=-1), torch.full((5,), 3.0))
    torch.testing.assert_close(-places / 3, ahead, atol=1e-5, rtol=0)
    assert (places[1:] - places[:-1]).norm(dim=-1).min() > 0.01


@pytest.mark.parametrize("pitch", [-1.5, 1.2])
def test_a_spiral_stays_below_the_poles(pitch: float) -> None:
    cameras = trajectory_cameras(CanonicalView(3.0, 40.0, 0.0, pitch), "spiral", 9)
    down = cameras.cam2world[:, 1, 1]  # height of where the cameras have their y axis
    assert (down < 1e-5).all()


def test_numbers_without_a_picture_are_refused() -> None:
    with pytest.raises(DataError, match="frames is 0, a video needs at least 1: change --frames"):
        check_frames(0)
    with pytest.raises(DataError, match="size is 0, it must be at least 1: change --size"):
        check_size(0)
