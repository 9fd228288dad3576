from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks.cpu.convolution import NARROW, convolve, weight_gradient


def problem(kernel: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """An image (2, 3, 4, 5), weights of 2 channels and a bias, all wanting gradients."""
    rng = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 4, 5), (2, 3, kernel, kernel), (2,))
    x, weight, bias = (torch.randn(s, generator=rng, dtype=dtype) for s in shapes)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


@pytest.fixture(params=["library", "products"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to the gradient of the weights, whatever the number of channels."""
    if request.param == "products":
        monkeypatch.setattr("models.blocks.cpu.convolution.NARROW", 0)


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_derivatives_of_first_and_second_order(kernel: int) -> None:
    assert torch.autograd.gradcheck(convolve, problem(kernel))
    assert torch.autograd.gradgradcheck(convolve, problem(kernel))


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("kernel", [1, 3])
def test_result_and_gradients_are_those_of_the_library(kernel: int) -> None:
    x, weight, bias = problem(kernel, torch.float32)
    ours, plain = convolve(x, weight, bias), F.conv2d(x, weight, bias, padding=kernel // 2)
    torch.testing.assert_close(ours, plain)
    pairs = zip(
        *(torch.autograd.grad((y**3).sum(), (x, weight, bias)) for y in (ours, plain)), strict=True
    )
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_penalty_leaves_out_the_weights_of_its_first_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def counted(*arguments: Any) -> Tensor:
        calls.append(1)
        return weight_gradient(*arguments)

    monkeypatch.setattr("models.blocks.cpu.convolution.weight_gradient", counted)
    x, weight, _ = problem(3)
    y = convolve(x, 2 * weight)
    (slope,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    assert len(calls) == 0
    (slope.square().sum() + y.sum()).backward()
    assert len(calls) == 2  # by the result and by its slope
    assert weight.grad is not None


def test_channels_last_stays_so_in_both_directions() -> None:
    x, weight, _ = problem(3, torch.float32)
    x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    y = convolve(x, weight)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    for image in (y, grad):
        assert image.is_contiguous(memory_format=torch.channels_last)


def test_autocast_reaches_the_convolution() -> None:
    x, weight, bias = problem(3, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = convolve(x, weight, bias)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


def test_many_channels_take_the_products() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, NARROW + 1, 5, 4, generator=rng)
    weight = torch.randn(NARROW + 2, NARROW + 1, 3, 3, generator=rng, requires_grad=True)
    y = F.conv2d(x, weight, padding=1)
    grad = torch.randn(y.shape, generator=rng)
    (expected,) = torch.autograd.grad(y, weight, grad)
    torch.testing.assert_close(weight_gradient(x, grad, 3), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("ways")
def test_a_tap_pairs_pixels_at_its_offset() -> None:
    # One white pixel in each: the kernel's gradient is white where their offset lies.
    x, grad = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 3], grad[0, 0, 2, 2] = 1, 1
    expected = torch.zeros(1, 1, 3, 3)
    expected[0, 0, 0, 2] = 1  # up one, right one of the centre
    assert torch.equal(weight_gradient(x, grad, 3), expected)
