import pytest
import torch
from torch import Tensor

from models.blocks.pointwise import affine_leaky

SHAPES = [(2, 6, 3, 5), (1, 40, 4, 4), (3, 33, 1, 1), (2, 4, 64, 48)]


def problem(shape: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    """An image, scales and biases."""
    rng = torch.Generator().manual_seed(0)
    shapes = (shape, shape[:2], shape[1:2])
    return [torch.randn(s, generator=rng).to(dtype).requires_grad_() for s in shapes]


@pytest.mark.parametrize("slope", [0.2, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_and_plain_tensors_agree_to_the_second_order(
    shape: tuple[int, ...], slope: float
) -> None:
    found = {}
    for dtype in (torch.float32, torch.float64):  # float64 takes the plain path
        leaves = problem(shape, torch.float32)
        leaves = [leaf.detach().to(dtype).requires_grad_() for leaf in leaves]
        y = affine_leaky(*leaves, slope)
        quick = torch.autograd.grad((y**2).sum(), leaves, retain_graph=True)
        first = torch.autograd.grad((y**2).sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first), leaves)  # type: ignore[arg-type]
        found[dtype] = [y, *quick, *first, *second]
    for ours, exact in zip(found[torch.float32], found[torch.float64], strict=True):
        bound = 1e-5 * exact.abs().max().item()
        torch.testing.assert_close(ours.double(), exact, atol=bound, rtol=1e-4)


def test_plain_tensors_have_the_derivatives_they_say() -> None:
    leaves = problem((2, 3, 2, 2), torch.float64)
    assert torch.autograd.gradcheck(lambda *t: affine_leaky(*t, 0.2), leaves)
    assert torch.autograd.gradgradcheck(lambda *t: affine_leaky(*t, 0.2), leaves)


def test_bfloat16_images_keep_their_type_and_scales_stay_float32() -> None:
    x, scale, bias = problem((2, 32, 4, 4), torch.float32)
    image = x.detach().bfloat16().requires_grad_()
    y = affine_leaky(image, scale, bias, 0.2)
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert image.grad.dtype == torch.bfloat16
    assert scale.grad.dtype == bias.grad.dtype == torch.float32
    exact = affine_leaky(image.detach().float(), scale, bias, 0.2)
    assert (y - exact).abs().max() <= 2**-8 * exact.abs().max()


def test_no_bias_is_a_bias_of_zero() -> None:
    x, scale, _ = problem((2, 6, 3, 5), torch.float32)
    torch.testing.assert_close(affine_leaky(x, scale, None, 1.0), x * scale[:, :, None, None])
