import math
from dataclasses import replace

import pytest
import torch
from tiny_gan import SIDE, tiny_gan

from lightning_modules.inference.inversion.distance import PixelDistance
from lightning_modules.inference.inversion.target import InversionTarget
from lightning_modules.inference.inversion.view_search import LAST, nearest_view
from models.autoencoder import CanonicalView
from models.view_distribution import ViewDistribution
from models.wildgan import WildGAN

SPHERE = ViewDistribution(2.0, 40.0)
TRUE = CanonicalView(2.0, 40.0, 0.7, 0.2)


def aimed(model: WildGAN, guess: CanonicalView, true: CanonicalView = TRUE) -> InversionTarget:
    """A photograph of seed 3 from the true view, taken to be seen from another."""
    photo = scene(model).view(true.camera(), SIDE, SIDE).rgb
    return InversionTarget(photo, guess, PixelDistance())


def scene(model: WildGAN):
    return model.scenes(model.mapped(torch.tensor([1]), [3]))


@pytest.mark.parametrize(("yaw", "pitch"), [(0.2, -0.1), (-0.15, 0.15), (0.0, 0.0)])
def test_the_view_of_a_known_scene_is_found(yaw: float, pitch: float) -> None:
    model = tiny_gan()
    found = nearest_view(
        aimed(model, replace(TRUE, yaw=0.7 + yaw, pitch=0.2 + pitch)), scene(model), SPHERE
    )
    assert (found.view.yaw, found.view.pitch) == pytest.approx((0.7, 0.2), abs=2 * LAST)
    assert (found.view.radius, found.view.fov_degrees) == (2.0, 40.0)


def test_yaw_goes_around() -> None:
    model = tiny_gan()
    true = replace(TRUE, yaw=-math.pi + 0.05)
    found = nearest_view(aimed(model, replace(TRUE, yaw=math.pi - 0.1), true), scene(model), SPHERE)
    assert abs(math.remainder(found.view.yaw - true.yaw, 2 * math.pi)) < 2 * LAST
    assert -math.pi <= found.view.yaw <= math.pi


def test_it_stays_within_the_views_there_are() -> None:
    model, band = tiny_gan(), ViewDistribution(2.0, 40.0, (-60.0, 30.0), (5.0, 9.0))
    start = replace(TRUE, yaw=0.4, pitch=math.radians(7))
    found = nearest_view(aimed(model, start), scene(model), band).view
    assert math.radians(5) <= found.pitch <= math.radians(9)
    assert found.yaw <= math.radians(30)
    assert found != start


def test_a_single_view_is_kept() -> None:
    model, one = tiny_gan(), ViewDistribution(2.0, 40.0, (20.0, 20.0), (5.0, 5.0))
    start = replace(TRUE, yaw=math.radians(20), pitch=math.radians(5))
    assert nearest_view(aimed(model, start), scene(model), one).view == start


def test_it_comes_away_from_a_pole() -> None:
    model = tiny_gan()
    true = replace(TRUE, pitch=1.4)
    found = nearest_view(aimed(model, replace(TRUE, pitch=math.pi / 2), true), scene(model), SPHERE)
    assert found.view.pitch == pytest.approx(1.4, abs=3 * LAST)
