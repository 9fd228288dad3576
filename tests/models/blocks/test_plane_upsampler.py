import pytest
import torch

from models.blocks.plane_decoder import PlaneSize
from models.blocks.plane_upsampler import PlaneUpsampler, UpsamplerSize
from models.blocks.token_layout import TokenLayout


def upsampler(resolution: int = 16) -> PlaneUpsampler:
    torch.manual_seed(0)
    return PlaneUpsampler(
        12, TokenLayout(4, 4, 3), PlaneSize(5, resolution), UpsamplerSize(256, 16)
    )


def test_channels_fall_with_the_resolution_to_at_least_one() -> None:
    size = UpsamplerSize(channel_base=64, channel_max=8)
    assert [size.channels(side) for side in (4, 16, 32, 128)] == [8, 4, 2, 1]


def test_planes_of_the_token_grid_itself_need_no_block() -> None:
    assert upsampler(4)(torch.randn(2, 48, 12)).shape == (2, 3, 5, 4, 4)
    assert len(upsampler(16).blocks) == 2


def test_channels_lie_next_to_each_other() -> None:
    planes = upsampler()(torch.randn(2, 48, 12))
    assert planes.stride(2) == 1


def test_a_token_reaches_its_plane_and_its_place_first() -> None:
    network = upsampler()
    tokens = torch.randn(1, 48, 12, generator=torch.Generator().manual_seed(1))
    moved = tokens.clone()
    one = 16 + 5  # second plane, row 1, column 1
    moved[0, one] += torch.randn(12, generator=torch.Generator().manual_seed(2))
    # The style is a mean of all tokens: hold it, to see what the token itself does.
    moved[0, 40] -= moved[0, one] - tokens[0, one]
    change = (network(moved) - network(tokens)).abs().sum(2)[0]  # (P, H, W)
    assert change[0].max() < 1e-4
    centres = torch.arange(16) + 0.5
    row, column = (change[1].sum(axis) @ centres / change[1].sum() for axis in (1, 0))
    assert row.item() == pytest.approx(6, abs=1)  # of the sixteen texels, those of row 1 of four
    assert column.item() == pytest.approx(6, abs=1)


def test_planes_of_equal_tokens_differ() -> None:
    planes = upsampler()(torch.ones(1, 48, 12))
    assert (planes[0, 0] - planes[0, 1]).abs().max() > 1e-3
