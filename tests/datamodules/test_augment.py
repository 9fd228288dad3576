import math

import numpy as np
import pytest
import torch

from datamodules.augment import (
    Augmentation,
    Draw,
    Window,
    cut_camera,
    cut_image,
    cut_map,
    cut_rays,
    draw,
)
from datamodules.rays import PinholeCamera, RayGrid, unit
from renderers.cameras import Camera, orbit_camera
from renderers.rays import camera_rays


def test_draws_depend_on_seed_key_and_epoch_alone():
    assert draw(1, "a", 2) == draw(1, "a", 2)
    others = [draw(0, "a", 2), draw(1, "b", 2), draw(1, "a", 3)]
    assert len({draw(1, "a", 2), *others}) == 4


def test_draws_are_uniform():
    draws = [draw(0, f"k{n}", 0) for n in range(4000)]
    assert np.mean([d.flip for d in draws]) == pytest.approx(0.5, abs=0.03)
    for values in ([d.x for d in draws], [d.y for d in draws]):
        counts, _ = np.histogram(values, 4, (0, 1))
        assert counts.min() > 900
    assert abs(np.corrcoef([d.x for d in draws], [d.y for d in draws])[0, 1]) < 0.05


def test_windows():
    low, high = Draw(False, 0.0, 0.0), Draw(False, 0.999, 0.999)
    assert Augmentation(4).window(6, 10, low) == Window(2, 0, 6)
    assert Augmentation(4, "random").window(6, 10, high) == Window(4, 0, 6)
    assert Augmentation(4, "random", 0.5).window(6, 10, low) == Window(0, 0, 4)
    assert Augmentation(4, "random", 0.5).window(6, 10, high) == Window(6, 2, 4)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("window", "resolution"), [(Window(2, 1, 4), 4), (Window(0, 2, 6), 3)])
def test_image_and_maps_are_cut_alike(flip, window, resolution):
    # Each value fills two pixels, so that nearest and antialiased sampling agree within one step.
    columns = (torch.arange(10) // 2).expand(8, 10)
    rows = (torch.arange(8) // 2)[:, None].expand(8, 10)
    image = torch.stack([columns, rows, rows]).to(torch.uint8) * 20
    result = cut_image(image, window, resolution, flip).float()
    for values, channel in ((columns, 0), (rows, 1)):
        values16 = (values * 20).to(torch.uint16).view(torch.int16)
        mapped = cut_map(values16, window, resolution, flip).float()
        assert mapped.shape == (resolution, resolution)
        assert (mapped - result[channel]).abs().max() <= 10 * (window.side > resolution)


@pytest.mark.parametrize("flip", [False, True])
def test_camera_of_the_cut_image_sees_along_the_rays_of_its_pixels(flip):
    camera = orbit_camera(torch.tensor([0.4]), torch.tensor([0.3]), 2.0, 40.0)
    window = Window(left=3, top=1, side=6)
    stored = PinholeCamera(camera.cam2world[0].numpy(), camera.intrinsics[0].numpy())
    pose, intrinsics = cut_camera(stored, window, (8, 12), flip)
    rays = camera_rays(camera, 8, 12)
    cut = camera_rays(
        Camera(torch.from_numpy(pose)[None], torch.from_numpy(intrinsics)[None]), 6, 6
    )
    expected = rays.directions.view(8, 12, 3)[1:7, 3:9]
    origin = rays.origins.view(8, 12, 3)[1:7, 3:9]
    if flip:
        mirror = torch.tensor([-1.0, 1.0, 1.0])
        expected, origin = expected.flip(1) * mirror, origin.flip(1) * mirror
    assert torch.allclose(cut.directions.view(6, 6, 3), expected, atol=1e-5)
    assert torch.allclose(cut.origins.view(6, 6, 3), origin, atol=1e-6)
    assert torch.linalg.det(torch.from_numpy(pose)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("window", "resolution"),
    [(Window(7, 2, 20), 20), (Window(8, 0, 24), 12), (Window(3, 1, 23), 15), (Window(0, 0, 24), 1)],
)
def test_rays_of_the_cut_image_are_those_of_its_camera(flip, window, resolution):
    height, width, fov = 24, 36, 50.0
    camera = orbit_camera(torch.tensor([0.4]), torch.tensor([0.3]), 2.0, fov)
    stored = camera_rays(camera, height, width)
    vectors = [v.view(height, width, 3).numpy() for v in (stored.origins, stored.directions)]
    rays = cut_rays(RayGrid(*vectors, (height, width)), window, resolution, flip)
    pinhole = PinholeCamera(camera.cam2world[0].numpy(), camera.intrinsics[0].numpy())
    pose, intrinsics = map(torch.from_numpy, cut_camera(pinhole, window, (height, width), flip))
    expected = camera_rays(Camera(pose[None], intrinsics[None]), resolution, resolution)
    assert rays.origins.shape == rays.directions.shape == (resolution, resolution, 3)
    assert np.allclose(rays.origins.reshape(-1, 3), expected.origins[0], atol=1e-6)
    error = np.linalg.norm(rays.directions.reshape(-1, 3) - expected.directions[0].numpy(), axis=-1)
    spacing = 2 * math.tan(math.radians(fov / 2)) / height
    resized = window.side != resolution
    assert error.max() <= 1e-6 + resized * 0.1 * spacing**2
    assert np.allclose(np.linalg.norm(rays.directions, axis=-1), 1, atol=1e-6)


def test_a_point_is_seen_by_the_mirrored_ray_at_its_mirror_image():
    rows, columns = np.indices((4, 4))
    origins = np.stack([columns - 9, 0 * rows, rows], axis=-1).astype(np.float32)
    directions = unit(np.stack([3 + 0.1 * columns, 1 - rows, 0 * rows + 2], axis=-1)).astype(
        np.float32
    )
    stored = RayGrid(origins, directions, (4, 4))
    plain, mirrored = (cut_rays(stored, Window(0, 0, 4), 4, flip) for flip in (False, True))
    points = plain.origins + 5 * plain.directions
    assert np.allclose(
        mirrored.origins + 5 * mirrored.directions, points[:, ::-1] * [-1, 1, 1], atol=1e-5
    )
    assert (stored.origins == origins).all()
