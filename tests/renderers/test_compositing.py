import pytest
import torch

from renderers.compositing import composite, composite_plain


@pytest.mark.parametrize("channels", [1, 3, 32, 33])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_equals_the_plain_sum_in_values_and_gradients(channels, dtype):
    rng = torch.Generator().manual_seed(0)
    weights = torch.rand(2, 41, 7, generator=rng).requires_grad_()
    features = torch.randn(2, 41, 7, channels, generator=rng).to(dtype).requires_grad_()
    fast, plain = composite(weights, features), composite_plain(weights, features)
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-5)
    grad = torch.randn(fast.shape, generator=rng)
    fast_grads = torch.autograd.grad(fast, (weights, features), grad)
    plain_grads = torch.autograd.grad(plain, (weights, features), grad)
    torch.testing.assert_close(fast_grads, plain_grads, atol=1e-5, rtol=1e-5)


def test_no_rays_give_no_colours():
    assert composite(torch.ones(2, 0, 4), torch.ones(2, 0, 4, 3)).shape == (2, 0, 3)


def test_gradients_of_gradients_are_those_of_the_plain_sum():
    rng = torch.Generator().manual_seed(0)
    weights = torch.rand(2, 5, 7, generator=rng).requires_grad_()
    features = torch.randn(2, 5, 7, 3, generator=rng).requires_grad_()
    found = []
    for compose in (composite, composite_plain):
        loss = compose(weights, features).square().sum()
        slopes = torch.autograd.grad(loss, (weights, features), create_graph=True)
        penalty = sum(slope.square().sum() for slope in slopes)
        found.append(torch.autograd.grad(penalty, (weights, features)))
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)
