import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.training.blur import gaussian_blur
from lightning_modules.training.image_jitter import Jitter

STILL = Jitter(mirror=False, shift=0.0, brightness=0.0, contrast=0.0, saturation=0.0)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 64, side: int = 8) -> Tensor:
    return 0.25 + 0.5 * torch.rand(count, 3, side, side, generator=noise(1))


def only(name: str, value: float | bool) -> Jitter:
    return Jitter(**(vars(STILL) | {name: value}))


def test_without_any_change_images_stay() -> None:
    torch.testing.assert_close(STILL.apply(images(), noise()), images())


def test_half_the_images_are_mirrored() -> None:
    changed, given = only("mirror", True).apply(images(), noise()), images()
    same = torch.isclose(changed, given).all(dim=(1, 2, 3))
    mirrored = torch.isclose(changed, given.flip(-1)).all(dim=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_shifts_are_whole_pixels_within_the_limit_and_repeat_the_edge() -> None:
    ramp = torch.arange(8.0).expand(64, 3, 8, 8) / 8  # brighter from column to column
    changed = only("shift", 0.25).apply(ramp, noise())
    moves = set()
    for image in changed:
        row = (image[0, 0] * 8).round().long()
        move = int(row[4]) - 4
        assert row.tolist() == [min(max(column + move, 0), 7) for column in range(8)]
        moves.add(move)
    assert moves == {-2, -1, 0, 1, 2}


def test_images_are_blurred_by_up_to_a_share_of_the_side() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(8).expand(64, 3, 16, 16).contiguous()
    spread = only("blur", 0.1).apply(stripes, noise()).std((1, 2, 3))
    most = gaussian_blur(stripes, 1.6).std()
    assert (spread >= most).all()
    assert spread.min() < 1.1 * most + 0.01
    assert spread.max() > 0.4  # hardly


def test_brightness_is_added_to_all_colours_alike() -> None:
    added = only("brightness", 0.1).apply(images(), noise()) - images()
    amounts = added.flatten(1)
    torch.testing.assert_close(amounts, amounts[:, :1].expand_as(amounts), rtol=0, atol=1e-5)
    assert 0.05 < amounts.abs().max() <= 0.1 + 1e-6


def test_contrast_keeps_the_mean_and_scales_the_rest() -> None:
    changed, given = only("contrast", 0.2).apply(images(), noise()), images()
    torch.testing.assert_close(changed.mean((1, 2, 3)), given.mean((1, 2, 3)))
    factors = changed.std((1, 2, 3)) / given.std((1, 2, 3))
    assert 0.8 <= factors.min() < 0.9
    assert 1.1 < factors.max() <= 1.2


def test_saturation_leaves_grey_images_alone() -> None:
    jitter, grey = only("saturation", 0.2), images()[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(jitter.apply(grey, noise()), grey)
    spread = jitter.apply(images(), noise()).std(1) / images().std(1)
    assert spread.mean((1, 2)).std() > 0.05


def test_results_are_in_range_and_a_function_of_the_noise() -> None:
    jitter, extreme = Jitter(), images().round()
    changed = jitter.apply(extreme, noise())
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(changed, jitter.apply(extreme, noise()))
    assert not torch.equal(changed, jitter.apply(extreme, noise(2)))


def test_a_value_out_of_range_is_named() -> None:
    with pytest.raises(DataError, match=r"shift is 1\.0, it must be at least 0 and below"):
        Jitter(shift=1.0)
