"""Maps of numbers come out of files as they went in, whatever the format."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from datamodules.build.float_maps import read_map
from datamodules.picture import PictureError

FLOATS = np.array([[0.5, -2.0, 3.25], [np.inf, np.nan, 0.0]])
INTEGERS = np.array([[0, 1, 65535], [7, 300, 2]])


def saved(path: Path, values: np.ndarray) -> Path:
    match path.suffix:
        case ".npy":
            np.save(path, values)
        case ".npz":
            np.savez(path, depth=values)
        case ".exr":
            openexr = pytest.importorskip("OpenEXR")
            header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
            with openexr.File(header, {"Z": values}) as file:
                file.write(str(path))
        case ".tiff" if values.dtype.kind == "f":
            Image.fromarray(values.astype(np.float32), "F").save(path)
        case _:
            iio.imwrite(path, values)
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.npy", np.float16),
        ("a.npy", np.float32),
        ("a.npy", np.float64),
        ("a.npz", np.float32),
        ("a.exr", np.float16),
        ("a.exr", np.float32),
        ("a.tiff", np.float32),
    ],
)
def test_floats_are_read(name: str, kind: type, tmp_path: Path) -> None:
    found = read_map(saved(tmp_path / name, FLOATS.astype(kind)))
    np.testing.assert_array_equal(found.astype(np.float64), FLOATS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", np.uint16), ("a.npy", np.uint16), ("a.npy", np.int64), ("a.tiff", np.uint16)],
)
def test_integers_are_read(name: str, kind: type, tmp_path: Path) -> None:
    assert read_map(saved(tmp_path / name, INTEGERS.astype(kind))).tolist() == INTEGERS.tolist()


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3, 1), (1, 1, 2, 3)])
def test_axes_of_one_are_left_out(shape: tuple[int, ...], tmp_path: Path) -> None:
    assert read_map(saved(tmp_path / "a.npy", INTEGERS.reshape(shape))).shape == (2, 3)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((2, 3, 3)), r"shape \(2, 3, 3\), expected one number a pixel"),
        (np.zeros((0, 3)), "expected one number a pixel"),
        (np.zeros((2, 3), np.complex64), "it holds complex64, expected numbers"),
        (np.array([["a"]]), "expected numbers|can't be read"),
    ],
)
def test_what_is_no_map_is_refused(values: np.ndarray, reason: str, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=reason):
        read_map(saved(tmp_path / "a.npy", values))


def test_several_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=INTEGERS, two=INTEGERS)
    with pytest.raises(PictureError, match=r"it holds 2 arrays \(one, two\), expected one"):
        read_map(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.exr", "a.png", "a.pfm"])
def test_garbage_is_refused(name: str, tmp_path: Path) -> None:
    if name == "a.exr":
        pytest.importorskip("OpenEXR")
    (tmp_path / name).write_bytes(b"garbage" * 9)
    with pytest.raises(PictureError):
        read_map(tmp_path / name)


def test_pictures_in_colour_are_refused(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(PictureError, match="it has mode RGB, expected one channel"):
        read_map(tmp_path / "a.png")
