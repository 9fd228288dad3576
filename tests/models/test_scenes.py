import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from models.blocks.field import DensityPrior, TriplaneField
from models.scenes import Scenes, axis_cosine, expand_camera
from models.spaces import BoxSpace, ContractedSpace, SceneBoxes
from renderers.cameras import Camera, orbit_camera
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays, camera_rays

RADIUS = 2.5


def camera(count: int = 1, fov_degrees: float = 40.0) -> Camera:
    return orbit_camera(torch.zeros(count), torch.zeros(count), RADIUS, fov_degrees)


def wall(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Opaque everywhere behind the world's plane z = 0; the planes' first value is its grey."""
    density = 1e4 * (points[..., 2] < 0)
    grey = planes[:, 0, 0, 0, 0][:, None, None]
    return density.float(), grey.expand(*points.shape[:2], 3).float()


def void(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros(points.shape[:2]), torch.zeros_like(points)


def largest_coordinate(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    return points.abs().amax(-1), points


def scenes(field: object, count: int = 2, canonical: Camera | None = None) -> Scenes:
    greys = torch.arange(count) / 10 + 0.1
    planes = greys[:, None, None, None, None].expand(count, 3, 1, 1, 1)
    sampling = RaySampling(64, 64, "disparity")
    return Scenes(planes, field, ContractedSpace(1.0, 20.0), sampling, canonical or camera())


def test_a_fronto_parallel_wall_has_one_disparity_over_the_image() -> None:
    # The wall is 2.5 away along the axis: disparity 0.4 everywhere. Distance along the ray would
    # give 0.4 * cos 38.8 deg = 0.31 in the corners of this 60-degree view (tan = sqrt(2) tan 30,
    # at pixel centres 7/8 of that).
    view = scenes(wall).view(camera(fov_degrees=60.0), 8, 8)
    assert view.disparity.shape == (2, 8, 8)
    torch.testing.assert_close(view.disparity, torch.full((2, 8, 8), 0.4), atol=0.004, rtol=0)


def test_axis_cosine_is_that_of_the_ray_through_the_pixel() -> None:
    # A pixel at (x, y) from the centre, in focal lengths: cos = 1 / sqrt(1 + x^2 + y^2).
    one = camera(fov_degrees=90.0)  # focal length of half the image
    cosine = axis_cosine(camera_rays(one, 2, 2), one)
    torch.testing.assert_close(cosine, torch.full((1, 4), 1 / math.sqrt(1.5)))


def test_view_has_colour_and_full_opacity() -> None:
    view = scenes(wall).view(camera(), 4, 4)
    torch.testing.assert_close(view.rgb[1], torch.full((3, 4, 4), 0.2), atol=1e-4, rtol=0)
    torch.testing.assert_close(view.opacity, torch.ones(2, 4, 4))


def test_empty_space_is_as_far_as_the_far_bound() -> None:
    # The last sample stands for what is behind it; its disparity lies below 1/20 + one interval.
    view = scenes(void).view(camera(fov_degrees=1.0), 2, 2)
    assert (view.disparity >= 0.0499).all()
    assert (view.disparity <= 1 / 20 + 0.95 / 64).all()


def test_a_slice_renders_like_the_same_scenes_of_the_batch() -> None:
    whole = scenes(wall, count=3)
    part = whole[1:]
    assert len(part) == 2
    expected, view = whole.view(camera(), 4, 4), part.view(camera(), 4, 4)
    assert torch.equal(view.rgb, expected.rgb[1:])


def test_a_slice_keeps_each_scenes_own_camera() -> None:
    yaw = torch.tensor([0.0, 0.1, 0.2])
    own = orbit_camera(yaw, torch.zeros(3), RADIUS, 40.0)
    part = scenes(wall, count=3, canonical=own)[1:]
    assert torch.equal(part.canonical.cam2world, own.cam2world[1:])
    shared = scenes(wall, count=3)[1:]
    assert len(shared.canonical.cam2world) == 1


def test_density_is_read_at_contracted_points() -> None:
    # x / 2 inside the unit cube: 0.5 -> 0.25; beyond, (2 - 1/|x|) / 2: 2 -> 0.75, 10 -> 0.95.
    points = torch.tensor([[[0.5, 0, 0], [0, 2.0, 0], [0, 0, -10.0]]]).expand(2, 3, 3)
    density = scenes(largest_coordinate).density(points)
    torch.testing.assert_close(density, torch.tensor([[0.25, 0.75, 0.95]]).expand(2, 3))


def test_rays_render_alike_without_noise_and_with_equal_noise() -> None:
    made = scenes(wall)
    rays = camera_rays(expand_camera(camera(), 2), 4, 4)
    assert torch.equal(made.render(rays).depth, made.render(rays).depth)
    first, again, other = (
        made.render(rays, torch.Generator().manual_seed(seed)).t for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_camera_serves_all_and_many_stay_as_they_are() -> None:
    one = camera()
    repeated = expand_camera(one, 3)
    assert repeated.cam2world.shape == (3, 4, 4)
    assert torch.equal(repeated.cam2world[2], one.cam2world[0])
    own = orbit_camera(torch.tensor([0.1, 0.2]), torch.zeros(2), RADIUS, 40.0)
    assert torch.equal(expand_camera(own, 2).cam2world, own.cam2world)
    with pytest.raises(RuntimeError):
        expand_camera(own, 3)


def test_a_box_shows_its_background_where_there_is_nothing() -> None:
    empty = scenes(void)
    for grey in (0.25, 1.0):
        box = replace(empty, space=BoxSpace(0.5, background=grey))
        view = box.view(camera(), 4, 4)
        torch.testing.assert_close(view.rgb, torch.full((2, 3, 4, 4), grey))
        assert not view.opacity.any()


def test_a_box_without_background_ends_on_its_far_side() -> None:
    opaque = replace(scenes(void), space=BoxSpace(0.5, background=None), canonical=camera())
    view = opaque.view(camera(fov_degrees=5.0), 4, 4)
    torch.testing.assert_close(view.opacity, torch.ones(2, 4, 4))
    assert view.disparity.min().item() == pytest.approx(1 / (RADIUS + 0.5), rel=0.01)


@dataclass(frozen=True)
class Inverter:
    """Enlarges and inverts; of scenes it knows a number each, which it adds to red."""

    numbers: Tensor
    raw: int = 4

    def __call__(self, features: Tensor) -> Tensor:
        red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None]
        rgb = 1 - features[:, :3] - red * self.numbers[:, None, None, None]
        return rgb.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def __getitem__(self, index: slice) -> "Inverter":
        return Inverter(self.numbers[index])


def test_a_refiner_makes_the_image_of_what_is_rendered_at_its_size() -> None:
    refined = replace(scenes(wall), refiner=Inverter(torch.tensor([0.0, 0.3])))
    view = refined[1:].view(camera(), 8, 8)
    assert view.rgb.shape == (1, 3, 8, 8)
    expected = torch.tensor([0.5, 0.8, 0.8])[None, :, None, None].expand(1, 3, 8, 8)
    torch.testing.assert_close(view.rgb, expected, atol=1e-4, rtol=0)
    assert refined.view(camera(), 16, 12).disparity.shape == (2, 16, 12)


@pytest.mark.parametrize("refined", [False, True])
def test_a_view_does_not_depend_on_how_many_points_are_held_at_once(refined: bool) -> None:
    sizes: list[int] = []

    def ball(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(points.shape[0] * points.shape[1])
        return 9.0 * (points.norm(dim=-1) < 0.3), points

    made = scenes(ball)
    if refined:
        made = replace(made, refiner=Inverter(torch.tensor([0.0, 0.3])))
    whole = made.view(camera(), 6, 6)
    sizes.clear()
    parts = made.view(camera(), 6, 6, points_per_chunk=1024)
    assert max(sizes) == 512  # of two images four rays each, 64 coarse or 64 fine samples
    for name in ("rgb", "disparity", "opacity", "disparity_range"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


@pytest.mark.parametrize("refined", [False, True])
def test_a_view_knows_the_range_of_disparities_of_its_pixels(refined: bool) -> None:
    wide, box = camera(2, fov_degrees=40.0), replace(scenes(void), space=BoxSpace(0.5))
    if refined:
        box = replace(box, refiner=Inverter(torch.zeros(2)))
    bounds = box.space.bounds(camera_rays(wide, 16, 16))
    assert not bounds.hit.all()
    found = box.view(wide, 16, 16).disparity_range
    for image in range(2):
        near, far = (x[image][bounds.hit[image]] for x in (bounds.near, bounds.far))
        assert found[image].tolist() == pytest.approx([1 / far.max().item(), 1 / near.min().item()])


def test_the_rays_of_a_view_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []

    def counted(one: Camera, height: int, width: int) -> Rays:
        built.append(height * width)
        return camera_rays(one, height, width)

    monkeypatch.setattr("models.scenes.camera_rays", counted)
    scenes(wall).view(camera(), 4, 6)
    assert built == [24]


def test_the_range_of_disparities_is_that_of_the_box_along_parallel_rays() -> None:
    own = orbit_camera(torch.tensor([0.0, math.pi / 4]), torch.zeros(2), RADIUS, 1.0)
    box = replace(scenes(void), space=BoxSpace(0.5))
    half = torch.tensor([0.5, 0.5 * math.sqrt(2)])  # of the box along the nearly parallel rays
    expected = torch.stack([1 / (RADIUS + half), 1 / (RADIUS - half)], 1)
    found = box.view(own, 4, 4).disparity_range
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0)


def test_colour_is_the_first_three_features() -> None:
    def many(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        return points[..., 0], torch.arange(5.0).expand(*points.shape[:2], 5)

    assert scenes(many).color(torch.zeros(2, 1, 3)).tolist() == [[[0.0, 1.0, 2.0]]] * 2


SIZES = torch.tensor([[0.5, 0.5, 0.5], [0.3, 0.6, 0.4], [0.7, 0.7, 0.7]])


def cloud(planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """As dense as the planes say, and thinner towards the ends of the cube."""
    density = planes[:, 0, 0, 0, 0][:, None] * (1 - points.abs().amax(-1)).clamp_min(0) * 20
    return density, 0.5 + 0.5 * points


def boxed(half_extents: Tensor = SIZES, planes: Tensor | None = None) -> Scenes:
    made = scenes(cloud, count=3)
    planes = made.planes if planes is None else planes
    return replace(made, planes=planes, space=SceneBoxes(half_extents, 0.3), canonical=camera())


def from_the_side(count: int) -> Camera:
    return orbit_camera(torch.linspace(0.3, 0.8, count), torch.full((count,), 0.4), RADIUS, 50.0)


def test_boxes_of_different_sizes_render_like_each_scene_in_its_own_box() -> None:
    whole, seen = boxed(), from_the_side(3)
    together = whole.view(seen, 8, 8)
    spaces = BoxSpace(0.5, 0.3), SceneBoxes(SIZES[1:2], 0.3), BoxSpace(0.7, 0.3)
    for index, own in enumerate(spaces):
        alone = replace(whole[index : index + 1], space=own)
        view = alone.view(seen[index : index + 1], 8, 8)
        for name in ("rgb", "disparity", "opacity", "disparity_range"):
            torch.testing.assert_close(getattr(together, name)[index], getattr(view, name)[0])
    assert (together.opacity > 0.1).any()
    assert (together.rgb[:, :, 0, 0] == 0.3).all()  # a corner that no box reaches


def test_a_slice_of_boxes_renders_like_the_same_scenes_of_the_batch() -> None:
    whole, seen = boxed(), from_the_side(3)
    together, part = whole.view(seen, 8, 8), whole[1:2].view(seen[1:2], 8, 8)
    assert torch.equal(part.rgb, together.rgb[1:2])
    other = replace(whole[1:2], space=SceneBoxes(SIZES[:1], 0.3)).view(seen[1:2], 8, 8)
    assert not torch.allclose(part.rgb, other.rgb, atol=0.01)


def test_gradients_reach_planes_and_extents_of_their_own_scene_only() -> None:
    half_extents, planes = SIZES.clone().requires_grad_(), scenes(cloud, 3).planes.clone()
    made = boxed(half_extents, planes.requires_grad_())
    made.render(camera_rays(from_the_side(3), 6, 6)).rgb[1].sum().backward()
    for gradient in (planes.grad, half_extents.grad):
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient[1].abs().sum() > 0
        assert not gradient[[0, 2]].any()


@pytest.mark.parametrize(
    "space",
    [
        ContractedSpace(1.0, 20.0, 0.7),
        BoxSpace(0.8),
        SceneBoxes(torch.tensor([[1.0, 0.5, 0.7], [0.6, 0.9, 0.8]])),
        SceneBoxes(torch.ones(2, 3), reach=1.3),
    ],
)
def test_a_field_that_is_rendered_as_a_whole_is_the_one_that_points_are_asked_of(
    space: object,
) -> None:
    torch.manual_seed(0)
    field = TriplaneField(4, 8, DensityPrior(0.0, 2.0), middle_layers=1)
    planes = torch.randn(2, 3, 4, 5, 5)
    made = Scenes(planes, field, space, RaySampling(6, 6), camera())
    rays = camera_rays(camera(2), 3, 3)
    found = made.render(rays)
    plain = replace(made, field=lambda planes, points: field(planes, points)).render(rays)
    torch.testing.assert_close(found, plain, atol=0, rtol=0)
