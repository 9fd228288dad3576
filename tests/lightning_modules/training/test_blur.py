import pytest
import torch

from lightning_modules.training.blur import gaussian_blur, gaussian_matrix


@pytest.mark.parametrize("sigma", [0.5, 2.0, 10.0])
def test_even_images_stay_as_they_are(sigma: float) -> None:
    even = torch.full((1, 3, 16, 16), 0.7)
    torch.testing.assert_close(gaussian_blur(even, sigma), even)


def test_a_point_becomes_a_gaussian() -> None:
    point = torch.zeros(1, 1, 33, 33)
    point[0, 0, 16, 16] = 1
    place = torch.arange(33.0) - 16
    line = torch.exp(-place.square() / (2 * 2.0**2))
    expected = torch.outer(line, line) / line.sum() ** 2
    torch.testing.assert_close(gaussian_blur(point, 2.0)[0, 0], expected, atol=1e-5, rtol=0)


def test_none_is_none() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert gaussian_blur(image, 0.0) is image
    torch.testing.assert_close(gaussian_matrix(8, 0.15, image), torch.eye(8), atol=1e-8, rtol=0)


def test_each_image_has_a_blur_of_its_own() -> None:
    images = torch.rand(3, 2, 8, 12)
    blurred = gaussian_blur(images, torch.tensor([0.0, 1.0, 2.5]))
    for image, sigma, found in zip(images, (0.0, 1.0, 2.5), blurred, strict=True):
        torch.testing.assert_close(found, gaussian_blur(image[None], sigma)[0], atol=1e-6, rtol=0)
