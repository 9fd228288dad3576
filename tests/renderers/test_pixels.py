import pytest
import torch

from renderers.pixels import (
    gather_image,
    patch_pixels,
    pixel_centres,
    random_corners,
    random_offsets,
    sample_image,
    strided_pixels,
)
from renderers.rays import rays_to_image


def test_pixel_centres_run_row_by_row():
    expected = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    torch.testing.assert_close(pixel_centres(2, 2)[0], expected)


def test_strided_pixels_of_all_offsets_tile_the_image():
    image = torch.arange(24.0).view(1, 1, 4, 6)
    seen = []
    for row in range(2):
        for column in range(2):
            pixels = strided_pixels(4, 6, 2, torch.tensor([[row, column]]))
            assert pixels.shape == (1, 6, 2)
            seen.append(gather_image(image, pixels).flatten())
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(24.0))


def test_strided_pixels_reject_a_stride_that_does_not_divide():
    with pytest.raises(ValueError, match="stride 4"):
        strided_pixels(6, 6, 4, torch.zeros(1, 2, dtype=torch.long))


def test_patches_are_contiguous_crops():
    image = torch.rand(2, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    corner = random_corners(2, 8, 10, 4, torch.Generator().manual_seed(1))
    pixels = patch_pixels(8, 10, 4, corner)
    for b, (row, column) in enumerate(corner.tolist()):
        crop = image[b, :, row : row + 4, column : column + 4]
        torch.testing.assert_close(rays_to_image(gather_image(image, pixels), 4, 4)[b], crop)
        torch.testing.assert_close(
            rays_to_image(sample_image(image, pixels), 4, 4)[b], crop, atol=1e-5, rtol=0
        )


def test_random_corners_reach_every_position_and_offsets_every_phase():
    rng = torch.Generator().manual_seed(0)
    corners = random_corners(2000, 6, 7, 4, rng)
    assert corners.amin(0).tolist() == [0, 0]
    assert corners.amax(0).tolist() == [2, 3]
    offsets = random_offsets(500, 3, rng)
    assert sorted(set(offsets.flatten().tolist())) == [0, 1, 2]


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="patch size 9"):
        patch_pixels(8, 10, 9, torch.zeros(1, 2, dtype=torch.long))


def test_sample_image_interpolates_and_gather_image_does_not():
    image = torch.tensor([[[[0.0, 1.0]]]])
    halfway = torch.tensor([[[0.5, 0.5], [0.49, 0.5]]])
    torch.testing.assert_close(sample_image(image, halfway)[0, 0, 0], torch.tensor(0.5))
    assert gather_image(image.byte(), halfway).flatten().tolist() == [1, 0]
