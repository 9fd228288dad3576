import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks.modulated import ModulatedConv, ModulatedProjection

CHANNELS_LAST = torch.channels_last


def sample_by_sample(layer: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """Weights scaled and normalised for every image, as the paper writes it, in float64."""
    results = []
    for image, latent in zip(x.double(), w.double(), strict=True):
        inputs = layer.weight.shape[1]
        style = layer.style.weight.double() @ latent / len(latent) ** 0.5
        style = style + layer.style.bias.double()
        taps = layer.weight[0, 0].numel()
        weight = layer.weight.double() * style[:, None, None] / (inputs * taps) ** 0.5
        if layer.demodulate:
            norm = weight.square().sum((1, 2, 3), keepdim=True)
            weight = weight / (norm + 1e-8).sqrt()
        if layer.up:
            spread = F.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
            blur = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 4
            kernel = torch.outer(blur, blur).expand(len(weight), 1, 4, 4)
            y = F.conv2d(spread, kernel, padding=1, groups=len(weight))[0]
        else:
            y = F.conv2d(image, weight, padding=weight.shape[-1] // 2)
        y = y + layer.bias.double()[:, None, None]
        results.append(torch.where(y < 0, 0.2 * y, y) * 2**0.5)
    return torch.stack(results)


def problem(kernel: int, **options: bool) -> tuple[ModulatedConv, Tensor, Tensor]:
    """A layer with styles and biases that differ, images and latents."""
    torch.manual_seed(0)
    layer = ModulatedConv(6, 10, kernel, 5, **options)
    torch.nn.init.normal_(layer.bias)
    torch.nn.init.normal_(layer.style.bias)
    return layer, torch.randn(3, 6, 7, 8), torch.randn(3, 5)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("kernel", "up"), [(1, False), (3, False), (3, True)])
def test_scaling_activations_equals_scaling_every_images_weights(
    kernel: int, up: bool, demodulate: bool
) -> None:
    layer, x, w = problem(kernel, up=up, demodulate=demodulate)
    found, expected = layer(x, w), sample_by_sample(layer, x, w)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    target = torch.randn(expected.shape)
    leaves = list(layer.parameters())
    ours = torch.autograd.grad((found * target).sum(), leaves)
    theirs = torch.autograd.grad((expected * target).sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        bound = 1e-5 * other.abs().max().item()
        torch.testing.assert_close(one, other, atol=bound, rtol=1e-4)


@pytest.mark.parametrize("up", [False, True])
def test_derivatives_of_first_and_second_order(up: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(2, 3, 3, 2, up=up).double()

    def function(x: Tensor, w: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, (x, w))

    x, w = torch.randn(1, 2, 2, 2).double(), torch.randn(1, 2).double()
    leaves = [t.requires_grad_() for t in (x, w, layer.weight.detach().clone())]
    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


def test_demodulation_gives_unit_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(64, 64, 3, 8)
    layer.style.bias.data.normal_(std=3)
    x, w = torch.randn(4, 64, 24, 24), torch.randn(4, 8)
    scale, norm = layer.scales(w)
    y = F.conv2d(x * scale[:, :, None, None], layer.weight) * norm[:, :, None, None]
    assert ((y.var((1, 2, 3)) - 1).abs() < 0.1).all()
    # A leaky ReLU of a unit normal, times sqrt 2, has a mean square of 1.04.
    assert layer(x, w).square().mean().item() == pytest.approx(1.04, abs=0.1)


@pytest.mark.parametrize("up", [False, True])
def test_channels_last_stays_so_in_both_directions(up: bool) -> None:
    layer, x, w = problem(3, up=up)
    x = x.to(memory_format=CHANNELS_LAST).requires_grad_()
    y = layer(x, w)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    assert y.is_contiguous(memory_format=CHANNELS_LAST)
    assert grad.is_contiguous(memory_format=CHANNELS_LAST)


@pytest.mark.parametrize("up", [False, True])
def test_autocast_takes_bfloat16_products_and_float32_scales(up: bool) -> None:
    layer, x, w = problem(3, up=up)
    exact = layer(x, w)
    with torch.autocast("cpu", torch.bfloat16):
        y, scales = layer(x, w), layer.scales(w)
    assert y.dtype == torch.bfloat16
    assert (y - exact).norm() < 0.01 * exact.norm()
    for found, expected in zip(scales, layer.scales(w), strict=True):
        assert torch.equal(found, expected)
    y.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.parametrize(("kernel", "up", "message"), [(2, False, "side 2"), (5, True, "not 5")])
def test_kernels_without_a_centre_or_that_cannot_double_are_refused(
    kernel: int, up: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ModulatedConv(3, 3, kernel, 4, up=up)


def test_a_projection_is_a_modulated_1x1_convolution_without_activation() -> None:
    torch.manual_seed(0)
    layer = ModulatedProjection(6, 4, 5)
    torch.nn.init.normal_(layer.bias)
    x, w = torch.randn(3, 6, 7, 8), torch.randn(3, 5)
    scale = layer.style(w) / 6**0.5
    for memory in (torch.contiguous_format, CHANNELS_LAST):
        y = layer(x.contiguous(memory_format=memory), w)
        scaled = x * scale[:, :, None, None]
        torch.testing.assert_close(y, F.conv2d(scaled, layer.weight[:, :, None, None], layer.bias))
        assert y.is_contiguous(memory_format=CHANNELS_LAST)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x.bfloat16(), w)
    assert low.dtype == torch.bfloat16
    assert (low - y).norm() < 0.01 * y.norm()


def test_a_projection_that_starts_at_zero_learns() -> None:
    layer = ModulatedProjection(6, 4, 5, zero=True)
    y = layer(torch.randn(2, 6, 3, 3), torch.randn(2, 5))
    assert (y == 0).all()
    y.sum().backward()
    assert layer.weight.grad is not None
    assert (layer.weight.grad != 0).all()
