import pytest
import torch
import torch.nn.functional as F

from models.blocks.super_resolution import SuperResolution


def network(factor: int) -> SuperResolution:
    torch.manual_seed(0)
    return SuperResolution(8, factor, 16, (16, 8))  # type: ignore[arg-type]


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    shapes = ((2, 8, 12, 12), (2, 3, 12, 12), (2, 16))
    features, rgb, w = (torch.randn(s, generator=rng) for s in shapes)
    return features, rgb, w


@pytest.mark.parametrize("factor", [2, 4])
def test_starts_from_the_upsampled_colours(factor: int) -> None:
    features, rgb, w = inputs()
    image = network(factor)(features, rgb, w)
    assert image.shape == (2, 3, 12 * factor, 12 * factor)
    smooth = rgb
    for _ in range(factor // 2):
        smooth = F.interpolate(smooth, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(image, smooth)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_range_of_colours_does_not_matter(factor: int) -> None:
    features, rgb, w = inputs()
    net = network(factor)
    for block in net.blocks:
        torch.nn.init.normal_(block.to_rgb.weight)
    correction = net(features, torch.zeros_like(rgb), w)
    assert correction.std() > 0.1
    signed, unit = (net(features, colors, w) for colors in (2 * rgb - 1, rgb))
    torch.testing.assert_close(signed - correction, 2 * (unit - correction) - 1)


def test_latents_and_features_reach_the_image_once_it_learns() -> None:
    features, rgb, w = inputs()
    net = network(4)
    optimizer = torch.optim.SGD(net.parameters(), 1e-2)
    net(features, rgb, w).square().mean().backward()
    optimizer.step()
    leaves = [features.requires_grad_(), rgb.requires_grad_(), w.requires_grad_()]
    for grad in torch.autograd.grad(net(*leaves).square().mean(), leaves):
        assert grad.abs().sum() > 0


def test_other_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="Super-resolution by 3 is not 2 or 4"):
        network(3)
