import math

import pytest
import torch
import torch.nn.functional as F

from models.blocks.discriminators import Discriminator, minibatch_stddev


def images(values: list[float]) -> torch.Tensor:
    """Constant images (B, 1, 2, 2)."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2)


def test_spread_of_one_group_by_hand() -> None:
    # 0 0 2 2: mean 1, variance 1. The channel is appended; the features stay.
    x = images([0.0, 0.0, 2.0, 2.0])
    y = minibatch_stddev(x)
    assert y.shape == (4, 2, 2, 2)
    assert torch.equal(y[:, :1], x)
    torch.testing.assert_close(y[:, 1:], torch.ones(4, 1, 2, 2))


def test_spread_is_that_of_the_own_group() -> None:
    # Groups of 4 are interleaved: even images 0 0 6 6 spread 3, odd ones alike.
    y = minibatch_stddev(images([0.0, 5.0, 0.0, 5.0, 6.0, 5.0, 6.0, 5.0]))
    torch.testing.assert_close(y[:, 1, 0, 0], torch.tensor([3.0, 1e-4] * 4))


def test_a_batch_that_groups_do_not_divide_is_one_group() -> None:
    # 0 3 6: variance (9 + 0 + 9) / 3 = 6.
    y = minibatch_stddev(images([0.0, 3.0, 6.0]))
    torch.testing.assert_close(y[:, 1, 0, 0], torch.full((3,), math.sqrt(6)))


@pytest.mark.parametrize(("channels", "resolution", "batch"), [(3, 8, 4), (4, 32, 3), (3, 16, 1)])
def test_one_float32_logit_an_image(channels: int, resolution: int, batch: int) -> None:
    torch.manual_seed(0)
    judge = Discriminator(channels, resolution, channel_base=64, channel_max=16)
    with torch.autocast("cpu", torch.bfloat16):
        logits = judge(torch.randn(batch, channels, resolution, resolution))
    assert logits.shape == (batch,)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("resolution", [4, 12, 48, 0])
def test_resolutions_that_cannot_be_halved_to_four_are_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match=rf"resolution {resolution} is not a power of two >= 8"):
        Discriminator(3, resolution)


def test_a_resolution_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="channel_base 16 leaves no channel at resolution 32"):
        Discriminator(3, 32, channel_base=16)


def test_gradients_reach_images_and_every_weight() -> None:
    torch.manual_seed(0)
    judge = Discriminator(3, 8, channel_base=64, channel_max=16)
    x = torch.randn(4, 3, 8, 8, requires_grad=True)
    judge(x).sum().backward()
    assert (x.grad.abs().sum((1, 2, 3)) > 0).all()
    for name, parameter in judge.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_features_keep_their_size_through_the_blocks() -> None:
    torch.manual_seed(0)
    judge = Discriminator(3, 64, channel_base=4096, channel_max=64)
    x = F.leaky_relu(judge.from_image(torch.randn(4, 3, 64, 64)), 0.2)
    for block in judge.blocks:
        x = block(x)
    # Four blocks: a gain of 2 or 1/2 in each would be 16 or 1/16.
    assert 0.25 < x.square().mean().sqrt().item() < 4


def plain_scores(judge: Discriminator, images: torch.Tensor) -> torch.Tensor:
    """The network in the library's convolutions, gains where the papers put them."""

    def layer(x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        weight = weights[f"{name}.weight"]
        scaled = weight / math.sqrt(weight[0].numel())
        apply = F.conv2d if weight.ndim == 4 else F.linear
        return apply(x, scaled, weights.get(f"{name}.bias"), **options)

    def active(x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x, 0.2) * math.sqrt(2)

    def halve(x: torch.Tensor) -> torch.Tensor:
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype) / 8
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
        return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])

    weights = dict(judge.named_parameters())
    x = active(layer(images, "from_image"))
    for name in (f"blocks.{i}" for i in range(len(judge.blocks))):
        y = active(
            layer(halve(active(layer(x, f"{name}.first", padding=1))), f"{name}.second", padding=1)
        )
        x = (y + layer(halve(x), f"{name}.skip")) / math.sqrt(2)
    x = active(layer(minibatch_stddev(x), "last", padding=1))
    return layer(active(layer(x.flatten(1), "hidden")), "logit")[:, 0]


def test_logits_and_gradient_penalty_are_those_of_plain_convolutions() -> None:
    torch.manual_seed(0)
    judge = Discriminator(3, 16, channel_base=128, channel_max=16)
    for name, parameter in judge.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    images, found = torch.randn(4, 3, 16, 16, requires_grad=True), []
    for logits in (judge(images), plain_scores(judge, images)):
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        loss = F.softplus(logits).sum() + slope.square().sum()
        found.append((logits, slope, *torch.autograd.grad(loss, list(judge.parameters()))))
    for ours, plain in zip(*found, strict=True):
        bound = 1e-5 * plain.abs().max().item()
        torch.testing.assert_close(ours, plain, atol=bound, rtol=1e-4)
