"""Meshes of scenes, in the box that they lie in."""

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.meshing import Surface, scene_mesh, write_mesh
from models.scenes import Scenes
from models.spaces import BoxSpace, ContractedSpace, SceneBoxes, Space
from renderers.cameras import orbit_camera
from renderers.opaque_surface import OPAQUE
from renderers.ray_sampling import RaySampling

SIZES = torch.tensor([[0.2, 0.4, 0.8], [1.0, 1.0, 1.0]])


def ball(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """A ball of the cube of radius 3/4, as steep as the planes say."""
    return planes[:, 0, 0, 0, :1] * (0.75 - points.norm(dim=-1)).clamp_min(0), points.abs()


def scenes(space: Space) -> Scenes:
    camera = orbit_camera(torch.zeros(1), torch.zeros(1), 3.0, 30.0)
    return Scenes(torch.full((2, 3, 1, 1, 1), 1e5), ball, space, RaySampling(4, 0), camera)


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


def test_the_box_is_that_of_the_space() -> None:
    boxes, cube, unbounded = SceneBoxes(SIZES[1:]), BoxSpace(1.0), ContractedSpace()
    for space in (boxes, cube, unbounded):
        assert Surface().extents(space) == (1.0, 1.0, 1.0)


def spread_ball(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """A cloud about the origin, dense in the middle, with no edge: its opacity has one."""
    return planes[:, 0, 0, 0, :1] * torch.exp(-8 * points.square().sum(-1)), points.abs()


def test_the_surface_of_a_cloud_in_a_box_is_that_of_its_opacity() -> None:
    camera = orbit_camera(torch.zeros(1), torch.zeros(1), 3.0, 30.0)

    def cloud(density: float) -> Scenes:
        planes = torch.full((1, 3, 1, 1, 1), density)
        return Scenes(planes, spread_ball, BoxSpace(1.0), RaySampling(64, 0), camera)

    def outer_depth(radius: float, density: float) -> float:
        """Of a ray that comes along an axis to a distance from the middle."""
        tails = math.erf(math.sqrt(8)) - math.erf(math.sqrt(8) * radius)
        return density * math.sqrt(math.pi / 8) / 2 * tails

    for density in (5.0, 50.0):
        radius = np.ptp(scene_mesh(cloud(density), Surface(97))[0].vertices, 0) / 2
        for extent in radius:
            assert outer_depth(extent, density) == pytest.approx(OPAQUE, rel=0.06)
    with pytest.raises(ValueError, match=r"is opaque nowhere: choose a level below 0\.25, its"):
        scene_mesh(cloud(0.25), Surface(97))
    assert len(scene_mesh(cloud(0.25), Surface(97, level=0.1))[0].vertices)


def test_elsewhere_a_quantile_of_densities_is_cut() -> None:
    camera = orbit_camera(torch.zeros(1), torch.zeros(1), 3.0, 30.0)
    planes = torch.full((1, 3, 1, 1, 1), 5.0)
    unbounded = Scenes(planes, spread_ball, ContractedSpace(), RaySampling(4, 0), camera)
    found = scene_mesh(unbounded, Surface(33))[0]
    expected = scene_mesh(unbounded, Surface(33, quantile=0.7))[0]
    np.testing.assert_array_equal(found.vertices, expected.vertices)
    boxed = scenes(BoxSpace(1.0))
    cut = scene_mesh(boxed, Surface(33, quantile=0.9))[0]
    assert cut.vertices.shape != scene_mesh(boxed, Surface(33))[0].vertices.shape


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
