import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.schema import Batch
from lightning_modules.adversarial.gan_views import (
    MultiView,
    photographs,
    render_judged,
    standardised,
)
from models.scenes import Scenes, resized
from models.spaces import BoxSpace
from renderers.cameras import Camera, orbit_camera
from renderers.ray_sampling import RaySampling

SIDE = 8


def ball(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """An opaque ball of radius 0.6 of the cube, in each scene's grey, red where x > 0."""
    inside = (points.norm(dim=-1) < 0.6).float()
    grey = planes[:, :1, 0, 0, 0].unsqueeze(1).expand(*points.shape[:2], 3)
    red = (points[..., :1] > 0) * torch.tensor([1.0, 0.0, 0.0])
    return 1e3 * inside, (grey + red).clamp(0, 1)


def scenes() -> Scenes:
    planes = torch.tensor([0.0, 0.25])[:, None, None, None, None].expand(2, 3, 1, 1, 1)
    canonical = orbit_camera(torch.zeros(1), 0.0, 2.0, 40.0)
    return Scenes(planes, ball, BoxSpace(0.8), RaySampling(32, 32), canonical)


def cameras(views: int = 2) -> Camera:
    yaw = torch.linspace(-1.5708, 1.5708, views).expand(2, views)
    return orbit_camera(yaw, 0.0, 2.0, 40.0)


def test_views_come_scene_by_scene() -> None:
    made = render_judged(scenes(), cameras(), SIDE, SIDE, None)
    assert made.image.shape == (4, 3, SIDE, SIDE)
    assert made.raw is None
    assert made.disparity is None
    middle = made.image[:, :, SIDE // 2, SIDE // 2]
    # From yaw -90 degrees the ball's -x side is seen, which is not red.
    expected = [[0.0] * 3, [1.0, 0.0, 0.0], [0.25] * 3, [1.0, 0.25, 0.25]]
    torch.testing.assert_close(middle, torch.tensor(expected), atol=2e-3, rtol=0)
    torch.testing.assert_close(made.image[:, :, 0, 0], torch.ones(4, 3))


def test_they_equal_what_scenes_show() -> None:
    made = render_judged(scenes(), cameras(1), SIDE, SIDE, None)
    view = scenes().view(orbit_camera(torch.tensor([-1.5708]), 0.0, 2.0, 40.0), SIDE, SIDE)
    torch.testing.assert_close(made.image, view.rgb, atol=1e-4, rtol=0)


def test_a_small_rendering_is_enlarged_to_the_image() -> None:
    made = render_judged(scenes(), cameras(), SIDE, 4, None)
    assert made.image.shape == (4, 3, SIDE, SIDE)


def test_disparity_is_nearest_in_the_middle_of_a_ball_and_zero_outside() -> None:
    made = render_judged(scenes(), cameras(), SIDE, 16, None, with_disparity=True)
    assert made.disparity is not None
    for one in made.disparity[:, 0]:
        assert one.argmax().item() in [16 * row + column for row in (7, 8) for column in (7, 8)]
        assert one[0, 0].item() == pytest.approx(0.0, abs=1e-4)


def test_standardised_disparity_ignores_scale_shift_and_what_is_unknown() -> None:
    rng = torch.Generator().manual_seed(0)
    values, known = torch.rand(2, 50, generator=rng), torch.ones(2, 50)
    known[:, :10] = 0
    first = standardised(values, known)
    changed = torch.where(known > 0, 7 * values - 3, 100.0)
    torch.testing.assert_close(standardised(changed, known), first)
    assert not first[:, :10].any()
    torch.testing.assert_close(first[:, 10:].mean(1), torch.full((2,), 0.5), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        first[:, 10:].std(1, unbiased=False), torch.full((2,), 1 / 6), atol=1e-3, rtol=0
    )


def batch(depth: bool = True) -> Batch:
    noise = np.random.default_rng(0)
    images = torch.from_numpy(noise.integers(0, 256, (2, 3, SIDE, SIDE), dtype=np.uint8))
    values = torch.from_numpy(noise.integers(1, 60000, (2, SIDE, SIDE), dtype=np.uint16))
    return Batch(("a", "b"), images, torch.tensor([0, 1]), values if depth else None)


def test_photographs_have_the_form_of_views() -> None:
    real = photographs(batch(), 4, with_raw=True, with_disparity=True)
    assert real.image.shape == (2, 3, SIDE, SIDE)
    assert real.raw is not None
    assert real.disparity is not None
    assert real.raw.shape == (2, 3, 4, 4)
    torch.testing.assert_close(real.raw.mean((2, 3)), real.image.mean((2, 3)), atol=0.05, rtol=0)
    assert real.disparity.shape == (2, 1, 4, 4)
    assert real.disparity.min() >= 0
    assert real.disparity.max() <= 1
    plain = photographs(batch(depth=False), SIDE, with_raw=False, with_disparity=False)
    assert plain.raw is None
    assert plain.disparity is None
    assert torch.equal(plain.image, batch().float_image())


def test_without_super_resolution_photographs_are_as_coarse_as_what_is_rendered() -> None:
    shown = photographs(batch(), 4, with_raw=False, with_disparity=False).image
    assert shown.shape == (2, 3, SIDE, SIDE)
    small = resized(batch().float_image(), 4, 4)
    torch.testing.assert_close(shown, resized(small, SIDE, SIDE))
    assert not torch.allclose(shown, batch().float_image(), atol=0.05)


@pytest.mark.parametrize(
    ("settings", "images_seen", "collapsed_at", "views"),
    [
        (MultiView(3), 10**9, 5, 1),
        (MultiView(3, from_images=100), 99, None, 1),
        (MultiView(3, from_images=100), 100, None, 3),
        (MultiView(4, from_images=0), 0, None, 4),
        (MultiView(3, on_collapse=True), 10**9, None, 1),
        (MultiView(3, on_collapse=True), 50, 50, 3),
        (MultiView(3, from_images=100, on_collapse=True), 60, 50, 3),
    ],
)
def test_views_are_many_from_when_it_says(
    settings: MultiView, images_seen: int, collapsed_at: int | None, views: int
) -> None:
    assert settings.views_at(images_seen, collapsed_at) == views


def test_no_view_is_refused() -> None:
    with pytest.raises(DataError, match="views is 0, it must be from 1 to 1,000"):
        MultiView(0)
