import pytest
import torch

from renderers.cameras import orbit_camera, project
from renderers.pixels import gather_image, patch_pixels, pixel_centres
from renderers.rays import camera_rays, rays_at, rays_to_image


@pytest.fixture
def camera():
    return orbit_camera(torch.tensor([0.2, -0.7]), torch.tensor([0.1, 0.5]), 2.0, 45.0)


def test_a_ray_through_a_pixel_centre_projects_back_to_it(camera):
    rays = camera_rays(camera, 6, 9)
    points = rays.at(torch.full((2, 54, 1), 1.7)).squeeze(2)
    pixels, _ = project(points, camera)
    torch.testing.assert_close(pixels, pixel_centres(6, 9).expand(2, -1, -1), atol=1e-5, rtol=0)
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(2, 54))


def test_rays_of_some_pixels_are_those_of_the_whole_image(camera):
    pixels = patch_pixels(8, 10, 4, torch.tensor([[1, 2], [4, 6]]))
    whole = rays_to_image(camera_rays(camera, 8, 10).directions, 8, 10)
    torch.testing.assert_close(
        rays_at(camera, pixels).directions, gather_image(whole, pixels), atol=1e-6, rtol=0
    )
