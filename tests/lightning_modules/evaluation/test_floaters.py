import numpy as np
import pytest
import torch
from tiny_gina3d import tiny_gina3d
from torch import Tensor

from lightning_modules.evaluation.floaters import mask_fou, mesh_fou
from lightning_modules.evaluation.instruments import object_surfaces
from lightning_modules.evaluation.settings import MetricSettings
from models.scenes import Scenes
from models.spaces import BoxSpace, SceneBoxes, Space
from renderers.cameras import orbit_camera
from renderers.mesh import Mesh
from renderers.ray_sampling import RaySampling

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


def cubes(*sides: float) -> Mesh:
    """Cubes of these sides, apart from each other."""
    vertices = [side * CUBE + 10 * n for n, side in enumerate(sides)]
    faces = [FACES + 8 * n for n in range(len(sides))]
    return Mesh(np.concatenate(vertices).astype(np.float32), np.concatenate(faces))


@pytest.mark.parametrize(
    ("sides", "expected"), [((2.0,), 0.0), ((2.0, 1.0), 0.2), ((1.0, 1.0, 1.0), 2 / 3)]
)
def test_the_surface_of_smaller_components_floats(sides: tuple, expected: float) -> None:
    assert mesh_fou(cubes(*sides)) == pytest.approx(expected)


def test_a_component_of_more_faces_is_not_larger() -> None:
    large, small = cubes(4.0), cubes(1.0, 1.0)
    faces = np.concatenate([large.faces, small.faces[:12] + 8, small.faces[:12] + 8])
    vertices = np.concatenate([large.vertices, small.vertices[:8] + 20])
    assert mesh_fou(Mesh(vertices, faces)) == pytest.approx(12 / (96 + 12))


def test_the_area_beside_the_largest_disc_floats() -> None:
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    discs = [
        (rows - 20) ** 2 + (columns - 20) ** 2 <= 12**2,
        (rows - 50) ** 2 + (columns - 50) ** 2 <= 6**2,
    ]
    areas = [int(disc.sum()) for disc in discs]
    opacity = torch.where(discs[0] | discs[1], 0.9, 0.4)
    both, one, none = mask_fou(torch.stack([opacity, 0.9 * discs[0], torch.zeros(64, 64)])).tolist()
    assert both == pytest.approx(areas[1] / sum(areas))
    assert one == 0
    assert np.isnan(none)


def test_corners_connect() -> None:
    assert mask_fou(torch.eye(4)[None]).tolist() == [0.0]


def surface_shares(scenes: Scenes, resolution: int) -> Tensor:
    """Floating shares (B,) of surfaces out of so many lattice points a side."""
    settings = MetricSettings(("mesh_fou",), fou_resolution=resolution)
    return torch.tensor([mesh_fou(mesh) for mesh in object_surfaces(scenes, settings)])


def test_a_scene_without_a_surface_has_none() -> None:
    model = tiny_gina3d()
    with torch.no_grad():
        model.field.out.bias[0] = -50
        scenes = model.reconstruct(torch.rand(2, 3, 16, 16))
        assert surface_shares(scenes, 8).isnan().all()
        model.field.out.bias[0] = 50
        assert surface_shares(scenes, 8).tolist() == [0.0, 0.0]  # full boxes


def balls(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Balls at the left and right side of the cube, of the radii that the planes say."""
    radii = planes[:, :2, 0, 0, 0]
    middles = points.new_tensor([[-0.5, 0, 0], [0.5, 0, 0]])
    distance = (points[:, :, None] - middles).norm(dim=-1)
    return 1e4 * (distance < radii[:, None]).any(-1).float(), torch.zeros_like(points)


@pytest.mark.parametrize("space", [BoxSpace(1.0), SceneBoxes(torch.ones(3, 3))])
def test_scenes_of_two_balls_have_the_share_of_the_smaller_one(space: Space) -> None:
    radii = torch.tensor([[0.4, 0.2, 0], [0.4, 0, 0], [0, 0, 0]])
    camera = orbit_camera(torch.zeros(1), torch.zeros(1), 50.0, 2.5)  # nearly parallel rays
    sampling = RaySampling(64, 0, "distance")
    scenes = Scenes(radii[:, :, None, None, None], balls, space, sampling, camera)
    view = scenes.view(camera, 96, 96)
    for shares in (mask_fou(view.opacity), surface_shares(scenes, 48)):
        assert shares[0] == pytest.approx(0.04 / (0.04 + 0.16), abs=0.02)
        assert shares[1] == 0
        assert shares[2].isnan()
