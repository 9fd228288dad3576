import math

import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.metrics.image import masked_correlation, psnr, ssim


def test_psnr_by_hand() -> None:
    # Errors 0.1 everywhere: 10 log10(1 / 0.01) = 20 dB; 0.5 in one of four values: mean square
    # 1/16, 10 log10 16 = 12.04 dB.
    target = torch.full((2, 1, 2, 2), 0.5)
    predicted = target.clone()
    predicted[0] += 0.1
    predicted[1, 0, 0, 0] += 0.5
    torch.testing.assert_close(psnr(predicted, target), torch.tensor([20.0, 10 * math.log10(16)]))


def test_predictions_are_clipped_and_perfect_ones_score_a_hundred() -> None:
    target = torch.ones(1, 3, 4, 4)
    assert psnr(target + 0.3, target).item() == pytest.approx(100)
    assert psnr(-target, 0 * target).item() == pytest.approx(100)
    assert psnr(target - 1.5, target).item() == pytest.approx(0)


def test_equal_images_are_alike_and_inverted_ones_are_not() -> None:
    image = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ssim(image, image), torch.ones(2))
    assert (ssim(1 - image, image) < -0.5).all()


def test_similarity_of_constant_images_is_that_of_their_means() -> None:
    # Without variance the factor of contrast and structure is C2 / C2.
    pairs = torch.tensor([[0.2, 0.7], [0.0, 1.0], [0.5, 0.4]])
    a, b = (column[:, None, None, None].expand(3, 3, 12, 11) for column in pairs.T)
    expected = (2 * pairs.prod(1) + 1e-4) / (pairs.square().sum(1) + 1e-4)
    torch.testing.assert_close(ssim(a, b), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(ssim(a[:1], b[:1]), expected[:1], rtol=1e-6, atol=0)
    torch.testing.assert_close(ssim(a + 2, torch.ones(3, 3, 12, 11)), torch.ones(3))  # clipped


def test_images_smaller_than_the_window_are_refused() -> None:
    small = torch.zeros(1, 3, 12, 10)
    with pytest.raises(DataError, match="SSIM needs images of 11 pixels, these have 12 x 10"):
        ssim(small, small)


def test_correlation_is_numpys_over_known_pixels() -> None:
    rng = np.random.default_rng(0)
    target = rng.random((3, 50))
    predicted = np.stack([target[0], -target[1], rng.random(50)]) + 0.3 * rng.random((3, 50))
    known = rng.random((3, 50)) < 0.6
    rows = zip(predicted, target, known, strict=True)
    expected = [np.corrcoef(p[k], t[k])[0, 1] for p, t, k in rows]
    assert expected[1] < -0.5
    result = masked_correlation(*map(torch.tensor, (predicted, target, known)))
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5)


def test_correlation_does_not_see_scale_shift_or_unknown_pixels() -> None:
    target = torch.rand(1, 30, generator=torch.Generator().manual_seed(0))
    known = torch.arange(30)[None] < 20
    predicted = torch.where(known, 5 * target - 2, 1e6)
    assert masked_correlation(predicted, target, known).item() == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1])
def test_correlation_of_fewer_than_two_pixels_is_nan(count: int) -> None:
    known = torch.arange(8)[None] < count
    assert masked_correlation(torch.rand(1, 8), torch.rand(1, 8), known).isnan().all()


def test_correlation_with_a_constant_is_nan() -> None:
    known = torch.ones(1, 8, dtype=torch.bool)
    assert masked_correlation(torch.full((1, 8), 0.1), torch.rand(1, 8), known).isnan().all()
