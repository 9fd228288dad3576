import math

import pytest
import torch
from torch import Tensor

from models.blocks.plane_lifting import PlaneLifting, cell_guides
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from renderers.cameras import orbit_camera
from renderers.rays import Rays, camera_rays

GRID = 4
LAYOUT = TokenLayout(GRID, GRID, 3)
PATCHES = torch.arange(GRID * GRID).view(GRID, GRID)
"""Numbers of an image's patches by row and column."""


def seen_from(yaw: float, distance: float = 1000.0) -> Rays:
    """Rays of an almost parallel camera whose patches cover the cube's face."""
    fov = 2 * math.degrees(math.atan(1 / distance))
    return camera_rays(orbit_camera(torch.tensor([yaw]), 0.0, distance, fov), GRID, GRID)


def nearest_patches(rays: Rays) -> Tensor:
    """The patch that each cell takes most of, by z, y and x."""
    return cell_guides(rays, GRID)[0].argmax(1).view(GRID, GRID, GRID)


def test_cells_behind_each_other_take_the_patch_before_them() -> None:
    # x runs as columns do, y against rows; the camera is on +z.
    assert torch.equal(nearest_patches(seen_from(0.0)), PATCHES.flip(0).expand(GRID, -1, -1))


def test_a_turned_camera_turns_what_cells_take() -> None:
    # From +x, columns run along -z: (z, y, x) has column 3 - z, row 3 - y.
    expected = PATCHES.flip(0).flip(1).T[:, :, None].expand(-1, -1, GRID)
    assert torch.equal(nearest_patches(seen_from(torch.pi / 2)), expected)


def test_weights_fall_off_with_cells_as_a_gaussian() -> None:
    origins = torch.tensor([[[0.25, 0.25, 5.0], [0.75, 0.25, 7.0], [0.25, -0.75, 5.0]]])
    rays = Rays(origins, torch.tensor([0.0, 0.0, -2.0]).expand(1, 3, 3))  # any length
    row = cell_guides(rays, GRID)[0].view(GRID, GRID, GRID, 3)[0, 2, 2]  # x = y = 0.25
    torch.testing.assert_close(row, torch.tensor([0.0, 1.0, 4.0]).div(-2).softmax(0))


@pytest.mark.parametrize("distance", [2.5, 1000.0])
def test_weights_of_every_cell_add_up_to_one(distance: float) -> None:
    guides = cell_guides(seen_from(0.3, distance), GRID)
    torch.testing.assert_close(guides.sum(-1), torch.ones(1, GRID**3))
    assert (guides >= 0).all()


def test_queries_start_from_their_columns() -> None:
    """A patch that changes moves the tokens whose columns it is seen through, before attention."""
    torch.manual_seed(0)
    lifting = PlaneLifting(ViTSize(16, 1, 2), LAYOUT, context_width=8)
    lifting.transformer = torch.nn.Identity()  # type: ignore[assignment]
    lifting.transformer.forward = lambda x, context: x  # type: ignore[method-assign]
    tokens = torch.randn(1, GRID * GRID, 8)
    changed = tokens.clone()
    changed[:, 0] += 1  # upper left: x lowest, y highest
    moved = (lifting(changed, seen_from(0.0)) - lifting(tokens, seen_from(0.0))).abs().sum(-1)
    front, above, side = moved.view(3, GRID, GRID)
    assert divmod(int(front.argmax()), GRID) == (3, 0)  # row y, column x
    assert (above.argmax(1) == 0).all()  # rows z, columns x
    assert (side.argmax(1) == 3).all()  # rows z, columns y


def test_tokens_follow_the_rays() -> None:
    torch.manual_seed(0)
    lifting = PlaneLifting(ViTSize(16, 1, 2), LAYOUT, context_width=8)
    tokens = torch.randn(1, GRID * GRID, 8)
    lifted = lifting(tokens, seen_from(0.0))
    assert lifted.shape == (1, LAYOUT.tokens, 16)
    assert (lifted - lifting(tokens, seen_from(torch.pi))).abs().max() > 0.1
