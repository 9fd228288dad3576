import pytest
import torch
from torch import Tensor

from models.blocks.token_layout import TokenLayout, TokenPositions
from models.blocks.vit import sine_waves

LAYOUT = TokenLayout(rows=4, columns=5, planes=3)


def place(plane: int, row: int, column: int) -> int:
    """Number of a token: plane by plane in raster order."""
    return (plane * 4 + row) * 5 + column


def distinct_positions() -> TokenPositions:
    """Every plane, row and column with an embedding of its own."""
    torch.manual_seed(0)
    positions = TokenPositions(LAYOUT, 8)
    for parameter in positions.parameters():
        torch.nn.init.normal_(parameter)
    return positions


def test_tokens_are_counted_and_named() -> None:
    assert LAYOUT.tokens == 60
    assert str(LAYOUT) == "3 planes of 4 x 5"
    assert TokenLayout(8, 6).tokens == 48
    assert str(TokenLayout(8, 6)) == "8 x 6"


def test_a_position_is_the_sum_of_its_plane_row_and_column_in_raster_order() -> None:
    positions = distinct_positions()
    found = positions()
    assert found.shape == (60, 8)
    for p in range(3):
        for r in range(4):
            for c in range(5):
                expected = positions.plane[p] + positions.row[r] + positions.column[c]
                torch.testing.assert_close(found[place(p, r, c)], expected)
    assert len(found.unique(dim=0)) == 60


def test_planes_share_the_terms_of_rows_and_columns() -> None:
    positions = distinct_positions()
    found = positions()

    def gradients(token: int) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            found[token].sum(), list(positions.parameters()), retain_graph=True
        )

    plane, row, column = gradients(place(2, 1, 3))
    assert plane.any(1).tolist() == [False, False, True]
    assert row.any(1).tolist() == [False, True, False, False]
    assert column.any(1).tolist() == [False, False, False, True, False]
    for other in (place(0, 1, 3), place(1, 1, 3)):
        assert torch.equal(gradients(other)[1], row)
        assert torch.equal(gradients(other)[2], column)


def test_neighbours_are_alike_from_the_first_step() -> None:
    grid = TokenPositions(TokenLayout(16, 16), 64)().reshape(16, 16, 64)
    near = (grid[:, 1:] - grid[:, :-1]).norm(dim=-1).max()
    across = (grid[:, 8:] - grid[:, :-8]).norm(dim=-1).min()
    assert 0 < near < across
    torch.testing.assert_close(grid[3, 5, :32], 0.3 * sine_waves(16, 32)[3])
    torch.testing.assert_close(grid[3, 5, 32:], 0.3 * sine_waves(16, 32)[5])


def test_a_layout_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^rows is 0, it must be from 1 to 8,192\.$"):
        TokenLayout(0, 4, 3)


@pytest.mark.parametrize("planes", [1, 3])
def test_planes_begin_alike(planes: int) -> None:
    first = TokenPositions(TokenLayout(4, 5, planes), 8)().reshape(planes, 20, 8)
    assert torch.equal(first, first[:1].expand(planes, -1, -1))
