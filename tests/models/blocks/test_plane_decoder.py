import pytest
import torch

from models.autoencoder import CanonicalView
from models.blocks.plane_decoder import PatchJoin, PlaneHead, PlaneSize
from renderers.rays import camera_rays
from renderers.triplane import sample_triplane


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
    expected = torch.zeros(3, 12, 12, dtype=torch.bool)
    # Row i from above, column j: patches (row, column) of the planes (x, y), (x, z), (y, z).
    for plane, (row, column) in enumerate([(2 - i, j), (i, j), (j, 2 - i)]):
        top, left = max(0, 4 * row - 2), max(0, 4 * column - 2)
        expected[plane, top : 4 * row + 6, left : 4 * column + 6] = True
    assert changed.shape == (2, 3, 4, 12, 12)
    assert not changed[0].any()
    assert torch.equal(changed[1].any(1), expected)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 3), (3, 0), (2, 1)])
def test_a_patch_lies_where_the_canonical_camera_sees_its_token(i: int, j: int) -> None:
    torch.manual_seed(0)
    head = PlaneHead(width=5, grid=4, size=PlaneSize(channels=4, resolution=16))
    x = torch.zeros(1, 16, 5)
    x[0, 4 * i + j] = 1.0
    light = (head(x) - head(torch.zeros_like(x))).square()
    light[:, 1:] = 0  # leaves the (x, y) plane
    directions = camera_rays(CanonicalView().camera(), 4, 4).directions  # one for each token
    points = directions / directions[..., :2].max() * 0.75  # an image as wide as the planes
    seen = sample_triplane(light, points).sum(-1)
    assert seen.argmax() == 4 * i + j


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
