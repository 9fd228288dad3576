import pytest
import torch

from models.blocks.plane_decoder import PatchJoin, PlaneHead, PlaneSize


def changed_texels(head: PlaneHead, token: int) -> torch.Tensor:
    """Where planes (B, P, C, H, W) of two scenes change with one token of the second."""
    x = torch.zeros(2, 9, 5)
    empty = head(x)
    x[1, token] = 1.0
    return head(x) != empty


@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 2), (1, 0), (1, 1), (2, 1)])
def test_a_token_fills_its_patch_of_every_plane_and_two_texels_around(i: int, j: int) -> None:
    torch.manual_seed(0)
    head = PlaneHead(width=5, grid=3, size=PlaneSize(channels=4, resolution=12))
    changed = changed_texels(head, 3 * i + j)
    expected = torch.zeros(12, 12, dtype=torch.bool)
    top, left = max(0, 4 * i - 2), max(0, 4 * j - 2)
    expected[top : 4 * i + 6, left : 4 * j + 6] = True
    assert changed.shape == (2, 3, 4, 12, 12)
    assert not changed[0].any()
    assert torch.equal(changed[1].any(1), expected.expand(3, 12, 12))


def test_channels_are_joined_each_by_itself() -> None:
    torch.manual_seed(0)
    join = PatchJoin(channels=4)
    planes = torch.zeros(1, 4, 6, 6)
    empty = join(planes)
    planes[:, 2] = 1.0
    changed = (join(planes) != empty).any(-1).any(-1)[0]
    assert changed.tolist() == [False, False, True, False]


def test_channels_of_a_texel_are_adjacent_in_memory() -> None:
    planes = PlaneHead(width=5, grid=2, size=PlaneSize(channels=8, resolution=4))(
        torch.randn(2, 4, 5)
    )
    assert planes.stride(2) == 1
    assert planes.permute(0, 3, 4, 1, 2).is_contiguous()


def test_tokens_that_do_not_tile_the_planes_are_refused() -> None:
    message = r"3 x 3 tokens do not tile planes of side 7.*`planes.resolution`"
    with pytest.raises(ValueError, match=message):
        PlaneHead(8, 3, PlaneSize(4, 7))
