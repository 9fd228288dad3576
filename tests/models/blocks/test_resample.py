from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.blocks.resample import downsample, upsample


def test_a_constant_stays_constant_away_from_the_border() -> None:
    small = downsample(torch.full((2, 3, 8, 12), 0.7))
    assert small.shape == (2, 3, 4, 6)
    torch.testing.assert_close(small[..., 1:-1, 1:-1], torch.full((2, 3, 2, 4), 0.7))
    # At a corner a tap of 1/8 a side reaches the zeros outside: 0.7 * (7/8)^2.
    torch.testing.assert_close(small[0, 0, 0, 0], torch.tensor(0.7 * 49 / 64))


def test_an_impulse_is_spread_by_the_binomial_taps() -> None:
    # Output i reads inputs 2i-1 .. 2i+2 with taps 1 3 3 1 (/ 8): input 3 is tap 2 of output 1 and
    # tap 0 of output 2, a side; channels stay apart.
    image = torch.zeros(1, 2, 8, 8)
    image[0, 1, 3, 3] = 64.0
    small = downsample(image)
    expected = torch.zeros(4, 4)
    expected[1:3, 1:3] = torch.tensor([[9.0, 3.0], [3.0, 1.0]])
    torch.testing.assert_close(small[0, 1], expected)
    assert (small[0, 0] == 0).all()


def test_the_finest_stripes_vanish_instead_of_aliasing() -> None:
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8)
    torch.testing.assert_close(downsample(stripes)[0, 0, :, 1:-1], torch.zeros(4, 2))


def test_upsampling_keeps_constants_and_spreads_an_impulse() -> None:
    large = upsample(torch.full((2, 3, 4, 6), 0.7))
    assert large.shape == (2, 3, 8, 12)
    torch.testing.assert_close(large[..., 1:-1, 1:-1], torch.full((2, 3, 6, 10), 0.7))
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 1] = 16.0
    taps = torch.tensor([0.0, 1.0, 3.0, 3.0, 1.0, 0.0])
    torch.testing.assert_close(upsample(image)[0, 0], torch.outer(taps, taps))


@pytest.mark.parametrize("resample", [downsample, upsample])
@pytest.mark.parametrize("shape", [(2, 3, 2, 4), (1, 32, 4, 2), (3, 40, 6, 6)])
def test_kernels_and_plain_tensors_agree_to_the_second_order(
    resample: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    x, found = torch.randn(shape), []
    for leaf in (x.requires_grad_(), x.detach().double().requires_grad_()):  # float64 is plain
        y = resample(leaf)
        (first,) = torch.autograd.grad((y**3).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), leaf)
        found.append((y, first, second))
    for ours, exact in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), exact, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("resample", [downsample, upsample])
def test_channels_last_stays_so(resample: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(2, 5, 4, 6).to(memory_format=torch.channels_last).requires_grad_()
    y = resample(x)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("resample", [downsample, upsample])
def test_bfloat16_images_are_rounded_once(resample: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(2, 16, 4, 6).bfloat16()
    y = resample(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, resample(x.float()).bfloat16(), atol=1e-6, rtol=2**-7)
