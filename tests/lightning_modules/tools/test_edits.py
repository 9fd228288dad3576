"""`wild3d edit` keeps what is to be kept, and `wild3d interpolate` begins and ends at photos."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tiny_checkpoints import TinyFiles, run
from tiny_model import SIDE

from datamodules.errors import DataError
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.regions import OUTLINE, TokenBox, token_box
from lightning_modules.inference.token_edits import (
    Photo,
    inserted_tokens,
    open_photo,
    redrawn_tokens,
)
from lightning_modules.pictures.drawing import GAP, to_uint8
from lightning_modules.tools.edit import edit
from lightning_modules.tools.interpolate import interpolate
from models.blocks.token_layout import TokenLayout

QUARTER = (0.5, 0.0, 1.0, 0.5)
"""The upper right of the four tokens, number 1."""


@pytest.mark.parametrize("kind", ["autoregressive", "masked"])
@pytest.mark.parametrize("keep", [False, True])
def test_only_tokens_to_sample_change(kind: str, keep: bool, tiny_files: TinyFiles) -> None:
    maker = open_maker(getattr(tiny_files, kind))
    drawer = maker.token_drawer("a test")
    photo = open_photo(maker.autoencoder, tiny_files.first, QUARTER, "--region", "cpu")
    drawn = redrawn_tokens(drawer, photo, 1, range(12), keep)
    kept = photo.inside if keep else ~photo.inside
    assert kept.sum() == (1 if keep else 3)
    assert drawn.shape == (12, 4)
    assert (drawn[:, kept] == photo.tokens[:, kept]).all()
    assert ((drawn >= 0) & (drawn < 8)).all()
    assert (drawn[:, ~kept] != photo.tokens[:, ~kept]).any(0).all()
    assert torch.equal(redrawn_tokens(drawer, photo, 1, [7], keep)[0], drawn[7])


def photo_of(tokens: list[int], box: TokenBox, layout: TokenLayout) -> Photo:
    return Photo(torch.zeros(1, 3, 4, 4), torch.tensor([tokens]), box, box.mask(layout))


def test_inserted_tokens_come_from_the_source_at_their_place() -> None:
    layout = TokenLayout(2, 3)
    here = photo_of([0, 1, 2, 3, 4, 5], TokenBox(0, 2, 0, 1), layout)
    there = photo_of([10, 11, 12, 13, 14, 15], TokenBox(0, 2, 2, 3), layout)
    assert inserted_tokens(here, there).tolist() == [[12, 1, 2, 15, 4, 5]]
    assert here.tokens.tolist() == [[0, 1, 2, 3, 4, 5]]
    wide = photo_of([0] * 6, TokenBox(0, 1, 0, 2), layout)
    with pytest.raises(DataError, match="--region holds 2 x 1 tokens, --source_region 1 x 2"):
        inserted_tokens(here, wide)


def test_a_region_on_a_triplane_holds_what_is_seen_in_it_at_any_depth() -> None:
    layout = TokenLayout(4, 4, 3)
    left, top, right, bottom = 0.25, 0.5, 0.75, 0.75
    inside = token_box((left, top, right, bottom), layout).mask(layout)
    points = torch.rand(1, 2000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x, y, _ = points[0].unbind(-1)
    seen = (left < (x + 1) / 2) & ((x + 1) / 2 < right)
    seen &= (top < (1 - y) / 2) & ((1 - y) / 2 < bottom)
    cells = ((points[0] + 1) * 2).long()  # of each axis
    for plane, (column, row) in enumerate(((0, 1), (0, 2), (1, 2))):
        hit = inside.view(3, 4, 4)[plane, cells[:, row], cells[:, column]]
        assert hit[seen].all()
        assert not hit.all()
    assert inside.sum() == 2 + 8 + 4


def test_regions_are_of_an_image_or_a_triplane() -> None:
    with pytest.raises(DataError, match="three square planes, the tokens of 2 planes of 4 x 4"):
        token_box((0.25, 0.5, 0.75, 1.0), TokenLayout(4, 4, 2))


def test_regions_without_tokens_and_outside_the_image_are_refused() -> None:
    layout = TokenLayout(8, 8)
    with pytest.raises(DataError, match=r"--region 0.5,0.5,0.55,0.6 holds no centre of the 8 x 8"):
        token_box((0.5, 0.5, 0.55, 0.6), layout)
    for region in ((0.5, 0.0, 0.4, 1.0), (0.0, 0.2, 1.0, 1.1), (-0.1, 0.0, 1.0, 1.0)):
        with pytest.raises(DataError, match=r"--source_region is .*fractions of the image, 0 to 1"):
            token_box(region, layout, "--source_region")
    assert token_box((0.0, 0.0, 1.0, 1.0), layout) == TokenBox(0, 8, 0, 8)


def test_the_outline_frames_the_tokens_and_leaves_the_rest() -> None:
    picture = torch.zeros(3, 16, 16)
    drawn = TokenBox(0, 1, 1, 2).outline(picture, TokenLayout(2, 2))
    red = (drawn == torch.tensor(OUTLINE)[:, None, None]).all(0)
    frame = torch.zeros(16, 16, dtype=torch.bool)
    frame[:8, 8:] = True
    frame[1:7, 9:15] = False
    assert torch.equal(red, frame)
    assert (drawn[:, ~frame] == 0).all()


def test_the_sheet_has_photographs_reconstruction_and_results(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    out, photo = str(tmp_path), tiny_files.first
    edit(tiny_files.masked, photo, QUARTER, seeds=(0, 4), label="mug", out=out, size=SIDE)
    edit(tiny_files.stage1, photo, QUARTER, "insert", tiny_files.second, out=out, size=SIDE)
    tile = SIDE + GAP
    for action in ("resample", "insert"):
        picture = iio.imread(tmp_path / f"first-{action}.png")[-3 * tile :, -4 * tile :]
        grid = picture.reshape(3, tile, 4, tile, 3).swapaxes(1, 2)[:, :, :SIDE, :SIDE]
        blank = [(row, c) for row in (1, 2) for c in range(2 if action == "insert" else 1)]
        for row in range(3):
            for column in range(4):
                assert (grid[row, column] == 255).all() == ((row, column) in blank)
        outlined = grid[0, 0] == np.round(255 * np.array(OUTLINE))
        assert outlined.all(-1).sum() == 4 * (SIDE // 2 - 1)
        assert not np.array_equal(grid[0, 2], grid[0, 3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"stage1\.ckpt is a stage-1 checkpoint: resample draws tokens, name one of a prior"),
        ({"action": "insert"}, "insert takes a part of another photograph, --source"),
        ({"action": "keep", "source": "second.png"}, "--source; other actions don't"),
        ({"region": (0.0, 0.0, 0.1, 0.1)}, "holds no centre of the 2 x 2 tokens"),
        ({"image": "nothing.png"}, "There is no file or folder nothing.png"),
    ],
)
def test_what_cannot_be_edited_is_told(
    settings: dict, message: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    given = {"image": tiny_files.first, "region": QUARTER} | settings
    with pytest.raises(DataError, match=message):
        edit(tiny_files.stage1, out=str(tmp_path / "out"), **given)
    assert not (tmp_path / "out").exists()


def test_keeping_everything_and_several_labels_are_refused(tiny_files: TinyFiles) -> None:
    whole = (0.0, 0.0, 1.0, 1.0)
    with pytest.raises(DataError, match="The region is the whole image, keep would draw nothing"):
        edit(tiny_files.masked, tiny_files.first, whole, "keep")
    with pytest.raises(DataError, match="There is no class 'all': name one"):
        edit(tiny_files.masked, tiny_files.first, QUARTER, label="all")


def test_an_interpolation_begins_and_ends_with_the_reconstructions(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    images = (tiny_files.first, tiny_files.second)
    interpolate(tiny_files.stage1, images, str(tmp_path), steps=4, frames=5, size=SIDE)
    model, tile = open_maker(tiny_files.masked).autoencoder, SIDE + GAP
    picture = iio.imread(tmp_path / "first-to-second-sheet.png")[-2 * tile :, -4 * tile :]
    grid = picture.reshape(2, tile, 4, tile, 3).swapaxes(1, 2)[:, :, :SIDE, :SIDE]
    for column, image in ((0, images[0]), (3, images[1])):
        tokens = open_photo(model, image, QUARTER, "--region", "cpu").tokens
        scenes = model.decode_tokens(tokens)
        expected = to_uint8(scenes.view(scenes.canonical, SIDE, SIDE).rgb[0])
        np.testing.assert_array_equal(grid[0, column], expected)
    assert len(np.unique(grid.reshape(8, -1), axis=0)) == 8
    assert iio.imread(tmp_path / "first-to-second.mp4").shape == (5, SIDE, SIDE, 3)
    assert iio.imread(tmp_path / "first-to-second.gif").shape == (5, SIDE, SIDE, 3)


def test_interpolation_is_between_two(tiny_files: TinyFiles) -> None:
    with pytest.raises(DataError, match="--images names 1 photograph, interpolation is between 2"):
        interpolate(tiny_files.stage1, (tiny_files.first,))
    with pytest.raises(DataError, match="--frames is 1, it must be from 2"):
        run(interpolate, tiny_files.stage1, images=(tiny_files.first, tiny_files.second), frames=1)


@pytest.mark.parametrize("option", ["--image", "--source"])
def test_a_photograph_that_is_not_there_is_told_by_its_option(
    option: str, tiny_files: TinyFiles
) -> None:
    here, gone = tiny_files.first, "absent.png"
    image, source = (gone, here) if option == "--image" else (here, gone)
    with pytest.raises(DataError, match=rf"no file or folder absent.png: check {option}\.$"):
        edit(tiny_files.stage1, image, QUARTER, "insert", source)
