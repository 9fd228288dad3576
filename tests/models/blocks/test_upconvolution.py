import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks.upconvolution import upconvolve


def reference(x: Tensor, weight: Tensor) -> Tensor:
    """Zero insertion, a convolution with the turned kernel, the filter: each written out."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, 2 * height, 2 * width)
    spread[..., ::2, ::2] = x
    # Index 2i + k takes input i by tap k: a correlation with the turned kernel, padded by two.
    full = F.conv2d(F.pad(spread, (2, 2, 2, 2)), weight.flip(2, 3))[..., :-1, :-1]
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype) / 4
    kernel = torch.outer(taps, taps).expand(full.shape[1], 1, 4, 4)
    return F.conv2d(full, kernel, padding=1, groups=full.shape[1])


def problem(dtype: torch.dtype, size: tuple[int, int] = (3, 4)) -> tuple[Tensor, Tensor]:
    """An image of 5 channels and weights of 8."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, *size, generator=rng, dtype=dtype)
    weight = torch.randn(8, 5, 3, 3, generator=rng, dtype=dtype)
    return x.requires_grad_(), weight.requires_grad_()


def all_derivatives(function: object, x: Tensor, weight: Tensor) -> list[Tensor]:
    """The result, its gradients, and those of a function of the gradients."""
    y = function(x, weight)  # type: ignore[operator]
    quick = torch.autograd.grad((y**2).sum(), (x, weight), retain_graph=True)
    first = torch.autograd.grad((y**2).sum(), (x, weight), create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), (x, weight))  # type: ignore[arg-type]
    return [y, *quick, *first, *second]


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 4), (70, 60)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_to_zero_insertion_convolution_and_filter(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    x, weight = problem(dtype, size)
    pairs = zip(
        *(all_derivatives(f, x, weight) for f in (upconvolve, reference)),
        strict=True,
    )
    for found, expected in pairs:
        bound = 1e-5 * expected.abs().max().item()
        torch.testing.assert_close(found, expected, atol=bound, rtol=1e-4)


@pytest.mark.parametrize("wanted", [0, 1])
def test_one_gradient_can_be_asked_for_alone(wanted: int) -> None:
    leaves = problem(torch.float32)
    expected = torch.autograd.grad(reference(*leaves).square().sum(), leaves[wanted])
    frozen = [t if i == wanted else t.detach() for i, t in enumerate(leaves)]
    found = torch.autograd.grad(upconvolve(*frozen).square().sum(), leaves[wanted])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_channels_last_stays_so_in_both_directions() -> None:
    x, weight = problem(torch.float32)
    x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    y = upconvolve(x, weight)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    for image in (y, grad):
        assert image.is_contiguous(memory_format=torch.channels_last)


def test_autocast_reaches_the_product() -> None:
    x, weight = problem(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = upconvolve(x, weight)
    assert y.dtype == torch.bfloat16
    expected = upconvolve(x, weight)
    assert (y - expected).norm() < 0.01 * expected.norm()
    (y.float() ** 2).sum().backward()
    (exact,) = torch.autograd.grad((expected**2).sum(), weight)
    assert weight.grad is not None
    assert (weight.grad - exact).norm() < 0.02 * exact.norm()
