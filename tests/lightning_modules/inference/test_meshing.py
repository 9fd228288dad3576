"""Meshes of scenes, in the box that they lie in."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.meshing import Surface, box_level, scene_mesh, write_mesh
from models.scenes import Scenes
from models.spaces import BoxSpace, ContractedSpace, SceneBoxes, Space
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling

SIZES = torch.tensor([[0.2, 0.4, 0.8], [1.0, 1.0, 1.0]])


def ball(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """A ball of the cube of radius 3/4, as steep as the planes say."""
    return planes[:, 0, 0, 0, :1] * (0.75 - points.norm(dim=-1)).clamp_min(0), points.abs()


def scenes(space: Space) -> Scenes:
    camera = orbit_camera(torch.zeros(1), torch.zeros(1), 3.0, 30.0)
    return Scenes(torch.full((2, 3, 1, 1, 1), 1e3), ball, space, RaySampling(4, 0), camera)


def test_a_full_disk_names_the_mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "new" / "ball.glb"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"ball\.glb"):
            write_mesh(scenes(SceneBoxes(SIZES)), path, Surface(16), "")
    assert not any(path.parent.iterdir())


def test_the_mesh_of_a_ball_in_a_long_box_is_an_ellipsoid_of_its_sides() -> None:
    mesh, figures = scene_mesh(scenes(SceneBoxes(SIZES)), Surface(49))
    assert np.abs(mesh.vertices).max(0) == pytest.approx(0.75 * SIZES[0].numpy(), rel=0.03)
    assert figures.components == 1
    assert mesh.colours is not None
    assert mesh.colours.max() == pytest.approx(0.75 * 255, abs=6)


def test_the_second_scene_has_its_own_box_and_a_given_one_takes_its_place() -> None:
    second = scenes(SceneBoxes(SIZES))[1:]
    for surface in (Surface(33), Surface(33, half_extent=1.5)):
        mesh, _ = scene_mesh(second, surface)
        assert np.abs(mesh.vertices).max(0) == pytest.approx(np.full(3, 0.75), rel=0.03)
    assert Surface(half_extent=1.5).extents(second.space) == (1.5, 1.5, 1.5)


def test_box_and_level_are_those_of_the_space() -> None:
    boxes, cube, unbounded = SceneBoxes(SIZES[1:]), BoxSpace(1.0), ContractedSpace()
    assert Surface().extents(boxes) == Surface().extents(cube) == (1.0, 1.0, 1.0)
    level = box_level((1.0, 1.0, 1.0))
    assert level == pytest.approx(8 * np.log(2))
    assert Surface().threshold(boxes)[0] == Surface().threshold(cube)[0] == level
    assert Surface().extents(unbounded) == (1.0, 1.0, 1.0)
    assert Surface().threshold(unbounded) == (None, 0.7)
    assert Surface(quantile=0.2).threshold(boxes) == (None, 0.2)


@pytest.mark.parametrize(
    ("surface", "sentence"),
    [
        ({"half_extent": 0.0}, r"^half_extent is 0\.0, it must be above 0\.$"),
        ({"level": 1.0, "quantile": 0.5}, "^level is 1.0 and quantile 0.5: give only one of them"),
    ],
)
def test_a_surface_that_cannot_be_is_refused(surface: dict[str, float], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        Surface(**surface)
