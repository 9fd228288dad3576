import io
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from lightning_modules.pictures.drawing import (
    GAP,
    colored_disparity,
    colorize,
    gif_bytes,
    sheet,
    write_png,
)
from models.scenes import View

FARTHEST = torch.tensor([0.05, 0.03, 0.20])
NEAREST = torch.tensor([1.00, 0.95, 0.60])


def ramp() -> torch.Tensor:
    """Disparity (1, 1, 101) from 2 to 3."""
    return torch.linspace(2, 3, 101)[None, None]


def test_a_ramp_runs_from_dark_violet_to_pale_yellow() -> None:
    colors = colorize(ramp())
    assert colors.shape == (1, 3, 1, 101)
    torch.testing.assert_close(colors[0, :, 0, 0], FARTHEST)
    torch.testing.assert_close(colors[0, :, 0, -1], NEAREST)
    luminance = colors[0].mean(0)[0]
    assert (luminance.diff() >= -1e-6).all()
    # The middle of five knots, at the middle of the ramp.
    torch.testing.assert_close(colors[0, :, 0, 50], torch.tensor([0.70, 0.20, 0.40]))


def test_one_outlier_does_not_darken_the_rest() -> None:
    disparity = torch.cat([torch.linspace(0, 1, 400), torch.tensor([1000.0])])[None, None]
    luminance = colorize(disparity)[0].mean(0)[0]
    assert luminance[200] > luminance[0] + 0.1


def test_each_image_is_stretched_by_itself() -> None:
    both = colorize(torch.cat([ramp(), 100 * ramp()]))
    torch.testing.assert_close(both[0], both[1], atol=1e-3, rtol=0)


def test_unknown_pixels_are_grey_and_do_not_take_part_in_the_stretch() -> None:
    disparity, known = ramp(), torch.ones(1, 1, 101, dtype=torch.bool)
    disparity = torch.cat([torch.zeros(1, 1, 50), disparity], -1)
    known = torch.cat([torch.zeros(1, 1, 50, dtype=torch.bool), known], -1)
    colors = colorize(disparity, known)
    assert (colors[..., :50] == 0.5).all()
    torch.testing.assert_close(colors[..., 50:], colorize(ramp()))


def test_flat_and_wholly_unknown_images_are_drawn_too() -> None:
    flat = torch.full((1, 2, 2), 0.3)
    torch.testing.assert_close(colorize(flat)[0, :, 0, 0], FARTHEST)
    assert (colorize(flat, torch.zeros(1, 2, 2, dtype=torch.bool)) == 0.5).all()


def test_a_sheet_has_a_row_an_image_and_a_column_a_kind() -> None:
    first, second = torch.rand(3, 3, 4, 5), torch.rand(3, 3, 4, 5)
    picture = sheet([first, second])
    assert picture.shape == (3, 3 * (4 + GAP), 2 * (5 + GAP))
    row, column = 2 * (4 + GAP), 5 + GAP
    assert torch.equal(picture[:, row : row + 4, column : column + 5], second[2])
    assert (picture[:, 4 : 4 + GAP] == 1).all()
    assert (picture[:, :, 5 : 5 + GAP] == 1).all()


def test_sheets_clip_what_lies_outside_the_range() -> None:
    picture = sheet([torch.full((1, 3, 2, 2), 1.7)])
    assert picture.max() == 1


def test_a_png_holds_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "new" / "picture.png"
    picture = torch.rand(3, 4, 6)
    picture[:, 0, 0] = torch.tensor([0.0, 0.5, 2.0])
    write_png(path, picture)
    pixels = iio.imread(path)
    assert pixels.shape == (4, 6, 3)
    assert pixels[0, 0].tolist() == [0, 128, 255]
    expected = (picture.clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("count", [1, 5])
def test_a_gif_has_every_frame_for_its_time(count: int) -> None:
    frames = [torch.full((3, 8, 8), 0.15 * index) for index in range(count)]
    with Image.open(io.BytesIO(gif_bytes(frames, frames_per_second=10))) as gif:
        assert gif.n_frames == count
        for index in range(count):
            gif.seek(index)
            pixel = gif.convert("RGB").getpixel((4, 4))
            assert pixel == pytest.approx((round(0.15 * index * 255),) * 3, abs=3)
            if count > 1:
                assert gif.info["duration"] == 100
                assert gif.info["loop"] == 0


def test_disparity_is_grey_where_one_sees_through_the_scene() -> None:
    disparity, opacity = ramp(), torch.ones_like(ramp())
    opacity[:, :, :50] = 0.2
    rgb, disparity_range = torch.zeros(1, 3, *disparity.shape[1:]), torch.tensor([[0.0, 1.0]])
    view = View(rgb, disparity, opacity, disparity_range)
    shown = colored_disparity(view)
    assert (shown[..., :50] == 0.5).all()
    torch.testing.assert_close(shown[..., 50:], colorize(disparity[..., 50:]))
