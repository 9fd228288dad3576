"""Masks and depth maps of users are checked before their numbers are narrowed."""

import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.build.inputs import check_mask_codes
from datamodules.build.maps import read_depth, read_mask
from datamodules.build.search import SourceImage
from datamodules.errors import DataError
from datamodules.picture import PictureError

CODES = np.array([[0, 1, 2, 255]])
SIZE = (4, 1)


def write(path: Path, picture: Image.Image, kind: str = "PNG") -> Path:
    picture.save(path, kind)
    return path


def grey(values, dtype) -> Image.Image:
    return Image.fromarray(np.asarray(values, dtype))


def palette(indices, colours: bytes) -> Image.Image:
    picture = Image.fromarray(np.asarray(indices, np.uint8))
    picture = picture.convert("P")
    picture.putdata(np.asarray(indices).ravel().tolist())
    picture.putpalette(colours)
    return picture


@pytest.mark.parametrize(("dtype", "kind"), [("u1", "PNG"), ("u2", "PNG"), ("i4", "TIFF")])
def test_masks_of_any_integers_hold_codes(tmp_path, dtype, kind):
    path = write(tmp_path / "m.png", grey(CODES, dtype), kind)
    codes = read_mask(path, SIZE)
    assert codes.dtype == np.uint8
    assert (codes == CODES).all()


def test_masks_of_a_palette_hold_its_indices(tmp_path):
    colours = bytes([9, 9, 9, 200, 0, 0, 0, 200, 0])
    path = write(tmp_path / "m.png", palette([[0, 1, 2, 1]], colours))
    assert read_mask(path, SIZE).tolist() == [[0, 1, 2, 1]]


def test_masks_of_one_bit_hold_background_and_object(tmp_path):
    path = write(tmp_path / "m.png", Image.fromarray(np.array([[True, False, True, False]])))
    assert read_mask(path, SIZE).tolist() == [[1, 0, 1, 0]]


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "shown"),
    [
        ([[0, 256, 0, 1]], "u2", "PNG", "256"),
        ([[0, 257, 511, 1]], "u2", "PNG", "257, 511"),
        ([[-1, 0, 1, 65791]], "i4", "TIFF", "-1, 65791"),
        ([[0, 3, 0, 0]], "u1", "PNG", "3"),
    ],
)
def test_codes_that_are_none_are_named_with_their_file(tmp_path, values, dtype, kind, shown):
    path = write(tmp_path / "m.png", grey(values, dtype), kind)
    with pytest.raises(PictureError) as refused:
        read_mask(path, SIZE)
    sentence = f"mask codes must be 0, 1, 2 or 255, got [{shown}] (mask {path})"
    assert str(refused.value) == sentence


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK", "F"])
def test_masks_of_several_channels_or_fractions_are_refused_for_that(tmp_path, mode):
    kind = "TIFF" if mode in ("CMYK", "F") else "PNG"
    path = write(tmp_path / "m.png", Image.new(mode, SIZE), kind)
    with pytest.raises(PictureError, match=f"its mask has mode {mode}, expected one channel"):
        read_mask(path, SIZE)


@pytest.mark.parametrize("kind", ["metres_mm", "disparity"])
def test_depth_is_read_up_to_its_limit(tmp_path, kind):
    path = write(tmp_path / "d.png", grey([[0, 1, 30000, 65535]], "u2"))
    assert read_depth(path, SIZE, kind).tolist() == [[0, 1, 30000, 65535]]
    wide = write(tmp_path / "w.png", grey([[0, 1, 70000, 2**31 - 1]], "i4"), "TIFF")
    if kind == "metres_mm":
        assert read_depth(wide, SIZE, kind).tolist() == [[0, 1, 70000, 2**31 - 1]]
    else:
        with pytest.raises(PictureError, match="its depth goes up to 2147483647, the limit of"):
            read_depth(wide, SIZE, kind)


def test_negative_depth_and_that_of_8_bits_or_fractions_is_refused(tmp_path):
    path = tmp_path / "d.png"
    write(path, grey([[-3, 0, 0, 0]], "i4"), "TIFF")
    with pytest.raises(PictureError, match=r"its pixels go down to -3, .* \(depth .*d.png\)"):
        read_depth(path, SIZE, "metres_mm")
    for dtype, mode in (("u1", "L"), ("f4", "F")):
        write(path, grey([[0, 1, 1, 1]], dtype), "TIFF")
        with pytest.raises(PictureError, match=f"its depth has mode {mode}, expected a 16-bit"):
            read_depth(path, SIZE, "metres_mm")


def test_another_size_is_seen_before_decoding(tmp_path):
    buffer = io.BytesIO()
    Image.new("I;16", (2000, 2000)).save(buffer, "PNG")
    path = tmp_path / "d.png"
    path.write_bytes(buffer.getvalue()[:200])  # whose pixels cannot be decoded
    with pytest.raises(PictureError, match="its mask is 2000 x 2000, the image 4 x 1"):
        read_mask(path, SIZE)
    with pytest.raises(PictureError, match="its depth is 2000 x 2000, the image 4 x 1"):
        read_depth(path, SIZE, "metres_mm")


def test_a_gap_and_a_pipe_are_named(tmp_path):
    with pytest.raises(PictureError, match=r"No such file or directory \(mask .*m.png\)"):
        read_mask(tmp_path / "m.png", SIZE)
    os.mkfifo(tmp_path / "m.png")
    with pytest.raises(PictureError, match=r"it is a folder, pipe, .* \(mask .*m.png\)"):
        read_mask(tmp_path / "m.png", SIZE)


def looked_at(folder: Path, *pictures: Image.Image) -> None:
    for number, picture in enumerate(pictures):
        write(folder / f"{number}.png", picture)
    names = (str(number) for number in range(len(pictures) + 1))
    check_mask_codes([SourceImage(n, 0, n, -1, 1, n) for n in names], str(folder))


def test_colour_masks_are_not_told_to_be_divided(tmp_path):
    black, white = (Image.new("RGB", SIZE, color) for color in ("black", "white"))
    with pytest.raises(DataError, match=r"several channels \(.*0.png has mode RGB\): write"):
        looked_at(tmp_path, black, white)


def test_masks_of_0_and_255_are_told_to_be_divided_beside_broken_ones(tmp_path):
    (tmp_path / "1.png").touch()
    with pytest.raises(DataError, match=r"hold 0 and 255 only, .*: divide them by 255"):
        looked_at(tmp_path, grey([[0, 255]], "u1"))
    looked_at(tmp_path, grey([[0, 255]], "u1"), grey([[1, 255]], "u1"))


def test_masks_of_fractions_are_not_said_to_have_channels(tmp_path):
    Image.fromarray(np.ones((3, 4), np.float32)).save(tmp_path / "0.tif")
    (tmp_path / "0.tif").rename(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"masks in .* hold fractions \(.*0.png has mode F\)"):
        looked_at(tmp_path)


def test_codes_are_named_as_a_file_of_32_bits_holds_them(tmp_path):
    Image.new("I", SIZE, -5).save(tmp_path / "m.tif")
    content = (tmp_path / "m.tif").read_bytes()
    signed, unsigned = (struct.pack("<HHII", 339, 3, 1, kind) for kind in (2, 1))
    (tmp_path / "u.tif").write_bytes(content.replace(signed, unsigned))
    for name, shown in (("m.tif", "[-5]"), ("u.tif", "[4294967291]")):
        with pytest.raises(PictureError, match=re.escape(f"got {shown}")):
            read_mask(tmp_path / name, SIZE)
