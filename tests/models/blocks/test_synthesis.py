import pytest
import torch
from torch import nn

from models.blocks.mapping import MappingNetwork
from models.blocks.synthesis import Synthesis, SynthesisSize

SMALL = SynthesisSize(16, 6, channel_base=256, channel_max=32)


def parameters(*networks: nn.Module) -> int:
    return sum(p.numel() for net in networks for p in net.parameters())


def test_parameters_are_those_of_the_published_size() -> None:
    with torch.device("meta"):
        mapping = MappingNetwork(512, 100, 512)
        plain = parameters(mapping, Synthesis(SynthesisSize(), 512))
        deeper = parameters(mapping, Synthesis(SynthesisSize(), 512, extra_blocks=True))
    assert plain == pytest.approx(29.0e6, abs=0.1e6)
    assert 1.95 < deeper / plain < 2.1


def test_widths_halve_above_the_upper_limit() -> None:
    assert SynthesisSize().widths() == [512, 512, 512, 512, 512, 256, 128]
    assert SynthesisSize(4).widths() == [512]


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("resolution", [4, 16])
def test_planes_depend_on_the_latent_alone(resolution: int, extra: bool) -> None:
    torch.manual_seed(0)
    size = SynthesisSize(resolution, 6, 256, 32)
    net, w = Synthesis(size, 8, extra).eval(), torch.randn(2, 8)
    planes = net(w)
    assert planes.shape == (2, 6, resolution, resolution)
    assert planes.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(net(w.flip(0)), planes.flip(0))
    assert (planes[0] - planes[1]).abs().max() > 0.01


@pytest.mark.parametrize("extra", [False, True])
def test_gradients_reach_latents_and_every_weight(extra: bool) -> None:
    torch.manual_seed(0)
    net, w = Synthesis(SMALL, 8, extra), torch.randn(2, 8, requires_grad=True)
    net(w).square().sum().backward()
    assert w.grad is not None
    assert (w.grad.abs().sum(1) > 0).all()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_bfloat16_products_change_planes_little() -> None:
    torch.manual_seed(0)
    net, w = Synthesis(SMALL, 8), torch.randn(2, 8)
    exact = net(w)
    with torch.autocast("cpu", torch.bfloat16):
        planes = net(w)
    assert planes.dtype == torch.bfloat16
    assert (planes - exact).norm() < 0.03 * exact.norm()


def test_planes_start_at_unit_scale_at_every_depth() -> None:
    # A sum of one output a resolution, each of about unit variance, smoothed on the way up.
    torch.manual_seed(0)
    w = torch.randn(4, 64)
    for resolution in (4, 64):
        size = SynthesisSize(resolution, 12, 4096, 64)
        planes = Synthesis(size, 64)(w)
        assert 0.5 < planes.std().item() < 3


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"resolution": 48}, "resolution 48 is not a power of two >= 4"),
        ({"resolution": 2}, "resolution 2 is not a power of two >= 4"),
        ({"channels": 0}, "Synthesis of 0 channels"),
        ({"channel_base": 128}, "channel_base 128 leaves no channel at resolution 256"),
    ],
)
def test_sizes_that_make_no_network_are_refused(size: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SynthesisSize(**size)
