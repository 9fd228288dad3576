import math

import pytest
import torch
from tiny_model import tiny_model
from torch import Tensor

from lightning_modules.stage1_rays import NovelViews, Pixels, RayPlan, draw_pixels, render_views
from models.autoencoder import CanonicalView
from models.scenes import Scenes, expand_camera
from models.spaces import ContractedSpace
from renderers.cameras import orbit_camera
from renderers.ray_sampling import RaySampling
from renderers.rays import camera_rays

RADIUS, FOV = 2.5, 40.0


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wall(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Opaque behind the world's plane z = 0, coloured by its place (world x, y, z inside 1)."""
    return 1e4 * (points[..., 2] < 0).float(), 2 * points


def scenes(count: int) -> Scenes:
    canonical = orbit_camera(torch.zeros(1), torch.zeros(1), RADIUS, FOV)
    sampling = RaySampling(48, 48, "disparity")
    return Scenes(torch.zeros(count, 3, 1, 1, 1), wall, ContractedSpace(), sampling, canonical)


def seen_on_wall(pixels: Tensor) -> Tensor:
    """World x, y (B, R, 2) where the canonical camera's rays meet the plane z = 0."""
    half_width = RADIUS * math.tan(math.radians(FOV / 2))
    return (2 * pixels - 1) * half_width * torch.tensor([1.0, -1.0])


def indices(pixels: Tensor, resolution: int) -> Tensor:
    """Columns and rows of pixel centres; fails for what is not a centre inside the image."""
    exact = pixels * resolution - 0.5
    assert torch.allclose(exact, exact.round(), atol=1e-4)
    assert exact.round().min() >= 0
    assert exact.round().max() < resolution
    return exact.round().long()


def test_the_grid_takes_every_nth_pixel_from_a_random_offset() -> None:
    plan = RayPlan(grid_stride=4)
    columns, rows = indices(draw_pixels(plan, 64, 16, False, noise()).grid, 16).unbind(-1)
    assert columns.shape == (64, 16)
    assert (columns.reshape(64, 4, 4).diff(dim=2) == 4).all()
    assert (rows.reshape(64, 4, 4).diff(dim=1) == 4).all()
    starts = set(zip(rows[:, 0].tolist(), columns[:, 0].tolist(), strict=True))
    assert len(starts) == 16  # 64 images draw all 4 x 4 offsets


def test_a_stride_of_one_is_the_whole_image_in_order() -> None:
    columns, rows = indices(draw_pixels(RayPlan(1), 2, 8, False, noise()).grid, 8).unbind(-1)
    assert torch.equal(rows * 8 + columns, torch.arange(64).expand(2, 64))


def test_patches_are_neighbouring_pixels_inside_the_image() -> None:
    plan = RayPlan(grid_stride=4, patch=8, patch_images=100)
    patch = draw_pixels(plan, 200, 16, True, noise()).patch
    assert patch is not None
    columns, rows = indices(patch, 16).reshape(100, 8, 8, 2).unbind(-1)
    assert (columns.diff(dim=2) == 1).all()
    assert (rows.diff(dim=1) == 1).all()
    assert (rows.diff(dim=2) == 0).all()
    assert {0, 8} <= set(columns[:, 0, 0].tolist()) <= set(range(9))


def test_a_batch_smaller_than_the_plan_patches_all_of_it() -> None:
    plan = RayPlan(grid_stride=4, patch=8, patch_images=8)
    pixels = draw_pixels(plan, 3, 16, True, noise())
    assert pixels.patch is not None
    assert pixels.patch.shape == (3, 64, 2)
    assert draw_pixels(plan, 3, 16, False, noise()).patch is None


def test_equal_noise_places_alike() -> None:
    plan = RayPlan(grid_stride=4, patch=8)
    first, again, other = (draw_pixels(plan, 8, 16, True, noise(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.grid, again.grid)
    assert torch.equal(first.patch, again.patch)
    assert not torch.equal(first.grid, other.grid)


def test_shapes_of_all_views() -> None:
    pixels = Pixels(torch.rand(3, 16, 2), torch.rand(2, 25, 2))
    novel = orbit_camera(torch.tensor([0.1]), torch.tensor([0.0]), RADIUS, FOV)
    views = render_views(tiny_model(), scenes(3), pixels, novel, noise())
    assert views.grid.rgb.shape == (3, 16, 3)
    assert views.grid_depth.shape == (3, 16, 96)
    assert views.grid.weights.shape == (3, 16, 96)
    assert views.patch is not None
    assert views.patch.rgb.shape == (2, 25, 3)
    assert views.novel is not None
    assert views.novel.rgb.shape == (1, 16, 3)
    alone = render_views(tiny_model(), scenes(3), Pixels(pixels.grid, None), None, noise())
    assert alone.patch is None
    assert alone.novel is None


def test_grid_and_patch_see_the_scene_where_their_pixels_are() -> None:
    pixels = draw_pixels(RayPlan(grid_stride=4, patch=4), 2, 16, True, noise())
    views = render_views(tiny_model(), scenes(2), pixels, None, noise())
    for rendering, at in ((views.grid, pixels.grid), (views.patch, pixels.patch)):
        torch.testing.assert_close(rendering.rgb[..., :2], seen_on_wall(at), atol=0.03, rtol=0)
        torch.testing.assert_close(
            rendering.rgb[..., 2], torch.zeros(rendering.rgb.shape[:2]), atol=0.06, rtol=0
        )


def test_novel_views_are_taken_from_their_own_camera() -> None:
    # From +90 degrees of yaw, on the +x axis, the wall fills one half of the image: the camera
    # looks along -x with world -z to its right.
    camera = orbit_camera(torch.tensor([math.pi / 2]), torch.zeros(1), RADIUS, FOV)
    pixels = Pixels(torch.tensor([[[0.25, 0.5], [0.75, 0.5]]]), None)
    novel = render_views(tiny_model(), scenes(1), pixels, camera, noise()).novel
    assert novel is not None
    left, right = novel.depth[0].tolist()
    assert left > 15  # empty: the far bound
    assert right < 1.1  # dense from the near bound on


def test_grid_disparity_is_that_along_the_optical_axis() -> None:
    made = scenes(2)
    canonical = expand_camera(made.canonical, 2)
    grid = draw_pixels(RayPlan(grid_stride=4), 2, 16, False, noise()).grid
    views = render_views(tiny_model(), made, Pixels(grid, None), None, noise())
    half = math.tan(math.radians(FOV / 2))
    slope = (2 * grid - 1) * half  # x, y of the ray at z = 1
    z = views.grid.t / (1 + slope.square().sum(-1, keepdim=True)).sqrt()
    near, far = made.space.near, made.space.far
    expected = (1 / z - 1 / far) / (1 / near - 1 / far)
    found = made.space.scale_disparity(1 / views.grid_depth)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert canonical.forward[0].tolist() == [0.0, 0.0, -1.0]


def test_accumulated_disparity_of_a_flat_wall_is_flat() -> None:
    made = scenes(1)
    pixels = draw_pixels(RayPlan(grid_stride=2), 1, 16, False, noise())
    views = render_views(tiny_model(), made, pixels, None, noise())
    disparity = (views.grid.weights * made.space.scale_disparity(1 / views.grid_depth)).sum(-1)
    expected = (1 / RADIUS - 1 / 20) / (1 - 1 / 20)
    torch.testing.assert_close(disparity, torch.full((1, 64), expected), atol=0.01, rtol=0)


def test_rays_keep_float32_precision_under_autocast() -> None:
    # bfloat16 directions are off by two pixels of a 256-pixel image.
    camera = orbit_camera(torch.tensor([0.3]), torch.tensor([0.2]), RADIUS, FOV)
    exact = camera_rays(camera, 4, 4).directions
    with torch.autocast("cpu", torch.bfloat16):
        rays = camera_rays(camera, 4, 4)
    assert rays.directions.dtype == torch.float32
    torch.testing.assert_close(rays.directions, exact)


def test_a_stride_that_does_not_divide_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="stride 3 must divide the image size 16"):
        draw_pixels(RayPlan(grid_stride=3), 2, 16, False, noise())


def angles(position: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw and pitch (B,) of camera positions around the origin."""
    x, y, z = position.unbind(-1)
    return torch.atan2(x, z), torch.asin(y / position.norm(dim=-1))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_novel_views_fill_the_cap_and_stay_inside(scale: float) -> None:
    view, novel = CanonicalView(), NovelViews(yaw=0.4, pitch=0.2)
    rng = torch.Generator().manual_seed(0)
    camera = novel.draw(view, 2000, scale, rng)
    yaw, pitch = angles(camera.position)
    for angle, limit in ((yaw, 0.4 * scale), (pitch, 0.2 * scale)):
        assert -limit - 1e-5 <= angle.min() < -0.98 * limit
        assert 0.98 * limit < angle.max() <= limit + 1e-5
        # Uniform: the standard deviation is the half-extent over sqrt(3).
        assert angle.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)
    torch.testing.assert_close(camera.position.norm(dim=-1), torch.full((2000,), 2.5))


def test_novel_views_without_width_are_the_canonical_view() -> None:
    view = CanonicalView()
    camera = NovelViews().draw(view, 2, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(camera.cam2world, view.camera().cam2world.expand(2, 4, 4))
