import math

import pytest
import torch

from models.blocks.discriminators import (
    Discriminator,
    EqualizedConv,
    EqualizedLinear,
    leaky_relu,
    minibatch_stddev,
)


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


def test_gradients_reach_images_and_every_weight() -> None:
    torch.manual_seed(0)
    judge = Discriminator(3, 8, channel_base=64, channel_max=16)
    x = torch.randn(4, 3, 8, 8, requires_grad=True)
    judge(x).sum().backward()
    assert (x.grad.abs().sum((1, 2, 3)) > 0).all()
    for name, parameter in judge.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_layers_keep_unit_variance_at_initialisation() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 64, 16, 16)
    convolved = EqualizedConv(64, 64, 3)(x)[..., 1:-1, 1:-1]
    assert convolved.var().item() == pytest.approx(1, abs=0.15)
    mapped = EqualizedLinear(256, 256)(torch.randn(64, 256))
    assert mapped.var().item() == pytest.approx(1, abs=0.15)
    # E f(x)^2 = 2 * (1 + 0.2^2) / 2 = 1.04 for x ~ N(0, 1).
    assert leaky_relu(x).square().mean().item() == pytest.approx(1.04, abs=0.03)


def test_features_keep_their_size_through_the_blocks() -> None:
    torch.manual_seed(0)
    judge = Discriminator(3, 64, channel_base=4096, channel_max=64)
    x = leaky_relu(judge.from_image(torch.randn(4, 3, 64, 64)))
    for block in judge.blocks:
        x = block(x)
    # Four blocks: a gain of 2 or 1/2 in each would be 16 or 1/16.
    assert 0.25 < x.square().mean().sqrt().item() < 4
