from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.composition import Composition, PlacedObject
from models.scenes import Scenes
from models.spaces import BoxSpace, ContractedSpace, SceneBoxes
from renderers.cameras import orbit_camera
from renderers.placement import Placement
from renderers.ray_sampling import RaySampling

CAMERA = orbit_camera(torch.zeros(1), 0.0, radius=4.0, fov_degrees=40.0)
SIDE = 24


def solid(colour: tuple[float, float, float], density: float = 200.0) -> Scenes:
    """A box half as wide as its own, of one colour."""

    def field(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        inside = (points.abs().amax(-1) < 0.9).float()
        features = torch.tensor(colour).expand(*points.shape[:2], 3)
        return density * inside, features

    space = SceneBoxes(torch.tensor([[0.3, 0.2, 0.25]]), background=0.5)
    sampling = RaySampling(64, 0, "distance")
    return Scenes(torch.zeros(1, 3, 1, 2, 2), field, space, sampling, CAMERA)


RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def placed(colour: tuple[float, float, float], placement: Placement) -> PlacedObject:
    return PlacedObject("red" if colour == RED else "blue", solid(colour), placement)


def test_one_object_in_its_own_frame_looks_as_it_does_alone() -> None:
    alone = solid(RED).view(CAMERA, SIDE, SIDE)
    view = Composition([placed(RED, Placement())]).view(CAMERA, SIDE, SIDE, background=0.5)
    torch.testing.assert_close(view.rgb, alone.rgb, atol=1e-5, rtol=0)
    torch.testing.assert_close(view.opacity, alone.opacity, atol=1e-5, rtol=0)
    seen = alone.opacity > 0.99
    torch.testing.assert_close(view.disparity[seen], alone.disparity[seen], atol=1e-3, rtol=0)
    assert view.disparity[alone.opacity == 0].abs().max() < 1e-6  # nothing there


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_one_hides_the_other_whatever_the_order(order: tuple[int, int]) -> None:
    objects = [placed(RED, Placement((0, 0, 1))), placed(BLUE, Placement((0, 0, -1)))]
    view = Composition([objects[index] for index in order]).view(CAMERA, SIDE, SIDE)
    middle = view.rgb[0, :, SIDE // 2, SIDE // 2]
    torch.testing.assert_close(middle, torch.tensor(RED), atol=1e-3, rtol=0)
    back = orbit_camera(torch.tensor([torch.pi]), 0.0, radius=4.0, fov_degrees=40.0)
    behind = Composition(objects).view(back, SIDE, SIDE).rgb[0, :, SIDE // 2, SIDE // 2]
    torch.testing.assert_close(behind, torch.tensor(BLUE), atol=1e-3, rtol=0)


def test_a_stretched_object_is_larger_and_as_solid() -> None:
    small, large = (
        Composition([placed(RED, Placement(stretch=(factor,) * 3))]).view(CAMERA, SIDE, SIDE)
        for factor in (1.0, 2.0)
    )
    assert large.opacity.sum() > 3 * small.opacity.sum()
    assert large.opacity.max() == pytest.approx(1, abs=1e-3)
    # Its front is nearer: 4 - 0.9 * 0.5 against 4 - 0.9 * 0.25.
    assert large.disparity.max().item() == pytest.approx(1 / 3.55, abs=3e-3)
    assert small.disparity.max().item() == pytest.approx(1 / 3.775, abs=3e-3)


def test_a_background_shows_where_nothing_is() -> None:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    view = Composition([placed(RED, Placement())]).view(CAMERA, SIDE, SIDE, background=image)
    free = (view.opacity == 0)[:, None].expand_as(image)
    torch.testing.assert_close(view.rgb[free], image[free])
    assert free.sum() > 0


def test_boxes_that_meet_are_refused_by_name() -> None:
    near = [placed(RED, Placement()), placed(BLUE, Placement((0.5, 0, 0)))]
    with pytest.raises(ValueError, match="the boxes of red and blue meet"):
        Composition(near)
    Composition([near[0], placed(BLUE, Placement((0.7, 0, 0)))])


def test_a_scene_that_goes_on_is_no_object() -> None:
    for space in (ContractedSpace(), BoxSpace(0.5, background=None)):
        with pytest.raises(ValueError, match="fills all of space"):
            PlacedObject("room", replace(solid(RED), space=space), Placement())
    with pytest.raises(ValueError, match="no object"):
        Composition([])
