import pytest
import torch
from torch import Tensor

from lightning_modules.adversarial.diffaugment import Change, augment

ALL: tuple[Change, ...] = ("color", "translation", "cutout")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 64, channels: int = 3, side: int = 16) -> Tensor:
    return 2 * torch.rand(count, channels, side, side, generator=generator(1)) - 1


def test_nothing_named_changes_nothing() -> None:
    given = images()
    assert augment(given, (), generator()) is given


@pytest.mark.parametrize("change", ALL)
def test_every_image_is_changed_in_its_own_way(change: Change) -> None:
    same = images(1).expand(64, -1, -1, -1)
    changed = augment(same, (change,), generator())
    assert changed.shape == same.shape
    assert len(changed.flatten(1).unique(dim=0)) > 15


@pytest.mark.parametrize("change", ALL)
def test_a_change_befalls_a_share_of_the_images_whole(change: Change) -> None:
    given = images(400)
    changed = augment(given, (change,), generator(), probability=torch.tensor(0.25))
    # One shift in 25 is none, and so are some holes of one pixel at a corner: nearly none.
    share = (changed != given).flatten(1).any(1).float().mean()
    assert 0.17 < share < 0.33
    assert torch.equal(augment(given, (change,), generator(), probability=0.0), given)


def test_colors_are_moved_by_a_map_of_the_pixels() -> None:
    given = images(8)
    changed = augment(given, ("color",), generator())
    for before, after in zip(given.flatten(2), changed.flatten(2), strict=True):
        # Brightness, saturation and contrast are affine in (R, G, B, 1) of a pixel.
        columns = torch.cat([before.T, torch.ones(before.shape[1], 1)], 1)
        residual = columns @ torch.linalg.lstsq(columns, after.T).solution - after.T
        assert residual.abs().max() < 1e-4


def test_colors_are_brightened_then_saturated_then_contrasted() -> None:
    given = images(8)
    brightness, saturation, contrast = torch.rand(3, 8, 1, 1, 1, generator=generator())
    expected = given + brightness - 0.5
    grey = expected.mean(1, keepdim=True)
    expected = grey + 2 * saturation * (expected - grey)
    mean = expected.mean((1, 2, 3), keepdim=True)
    expected = mean + (contrast + 0.5) * (expected - mean)
    torch.testing.assert_close(augment(given, ("color",), generator()), expected)


def test_a_translated_image_is_a_shift_with_zeros() -> None:
    given = images(200)
    for before, after in zip(given, augment(given, ("translation",), generator()), strict=True):
        shifts = []
        for y in range(-2, 3):
            for x in range(-2, 3):
                moved = torch.zeros_like(before)
                rows, columns = slice(max(0, -y), 16 - max(0, y)), slice(max(0, -x), 16 - max(0, x))
                source = before[:, max(0, y) : 16 - max(0, -y), max(0, x) : 16 - max(0, -x)]
                moved[:, rows, columns] = source
                shifts.append(torch.equal(moved, after))
        assert sum(shifts) == 1


def test_a_hole_is_at_most_half_the_side_and_zero() -> None:
    given = images(200)
    changed = augment(given, ("cutout",), generator())
    cut = (changed != given).any(1)
    assert (changed[cut.unsqueeze(1).expand_as(changed)] == 0).all()
    assert cut.any(2).sum(1).max() == 8
    assert cut.any(1).sum(1).max() == 8
    assert cut.any(2).sum(1).min() >= 1


def test_a_small_rendering_is_changed_like_its_image_and_disparity_keeps_its_values() -> None:
    rgb, disparity = images(16), images(16, 1)
    changed = augment(torch.cat([rgb, rgb, disparity], 1), ("color",), generator(), colors=6)
    torch.testing.assert_close(changed[:, :3], changed[:, 3:6])
    assert torch.equal(changed[:, 6:], disparity)


def test_gradients_come_back_through_all_changes() -> None:
    given = images(4).double().requires_grad_()

    def changed(x: Tensor) -> Tensor:
        return augment(x, ALL, generator())

    assert torch.autograd.gradcheck(changed, (given[:1, :, :4, :4].detach().requires_grad_(),))
    (gradient,) = torch.autograd.grad(changed(given).square().sum(), given)
    assert gradient.abs().sum() > 0
