import pytest
import torch

from models.blocks.plane_decoder import PlaneHead, PlaneSize


@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 2), (1, 0), (2, 1)])
def test_a_token_fills_exactly_its_patch_of_every_plane(i: int, j: int) -> None:
    torch.manual_seed(0)
    head = PlaneHead(width=5, grid=3, size=PlaneSize(channels=4, resolution=6))
    x = torch.zeros(2, 9, 5)
    empty = head(x)
    x[1, 3 * i + j] = 1.0
    changed = head(x) != empty  # (B, P, C, H, W)
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = True
    assert changed.shape == (2, 3, 4, 6, 6)
    assert not changed[0].any()
    assert torch.equal(changed[1], expected.expand(3, 4, 6, 6))


def test_planes_lie_channels_last_in_memory() -> None:
    planes = PlaneHead(width=5, grid=2, size=PlaneSize(channels=8, resolution=4))(
        torch.randn(2, 4, 5)
    )
    assert planes.stride(2) == 1
    assert planes.permute(0, 1, 3, 4, 2).is_contiguous()


def test_tokens_that_do_not_tile_the_planes_are_refused() -> None:
    message = r"3 x 3 tokens do not tile planes of side 7.*`planes.resolution`"
    with pytest.raises(ValueError, match=message):
        PlaneHead(8, 3, PlaneSize(4, 7))
