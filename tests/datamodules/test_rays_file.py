import contextlib
import io
import zipfile

import numpy as np
import pytest
from hostile import mutations

from datamodules.build.encode import encode_camera, encode_rays
from datamodules.rays import PinholeCamera, RayGrid, unit
from datamodules.rays_file import read_rays

HEIGHT, WIDTH = 40, 48
SIZE = (HEIGHT, WIDTH)


def rolling_shutter(bend: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rays of a camera that moves and turns while its columns are read, and trembles by `bend`."""
    rows, columns = np.arange(HEIGHT)[:, None] / WIDTH, np.arange(WIDTH) / WIDTH
    turned = 0.05 * (columns + bend * np.sin(40 * columns))
    directions = np.stack(np.broadcast_arrays(0.2 * columns + turned, 0.2 * rows, 1.0), axis=-1)
    origins = np.stack(np.broadcast_arrays(columns - 9, 1.5 + 0 * rows, -20 + 2 * columns), axis=-1)
    return origins.astype(np.float32), unit(directions).astype(np.float32)


def files(**changes) -> bytes:
    """A rays file with some of its arrays changed; None leaves one out."""
    direction = np.array([[[0, 0, 1]]], np.float32)
    arrays = {
        "version": 2,
        "size": np.array(SIZE),
        "origins": np.zeros((1, 1, 3), np.float32),
        "directions": direction,
        **changes,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


@pytest.mark.parametrize("tolerance", [1e-5, 1e-3])
@pytest.mark.parametrize("bend", [0.0, 0.5])
def test_rays_come_back_within_the_tolerance_of_the_writer(bend, tolerance):
    origins, directions = rolling_shutter(bend)
    rays = read_rays(encode_rays(origins, directions, tolerance, tolerance / 2), SIZE)
    found = rays.at(np.arange(HEIGHT), np.arange(WIDTH))
    assert np.linalg.norm(found.origins - origins, axis=-1).max() <= tolerance + 1e-6
    assert np.linalg.norm(found.directions - directions, axis=-1).max() <= tolerance / 2 + 1e-6


def test_smooth_rays_take_few_bytes_and_rough_ones_are_stored_in_full():
    smooth = encode_rays(*rolling_shutter(), direction_tolerance=1e-4)
    assert len(smooth) < 8000
    rough = np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32)
    rays = read_rays(encode_rays(rough, unit(rough)), SIZE)
    assert (rays.origins == rough).all()
    assert rays.directions.shape == (HEIGHT, WIDTH, 3)


def test_a_camera_is_told_from_rays_and_needs_no_version():
    content = encode_camera(np.eye(4), np.full((3, 3), 0.5))
    assert b"version" not in content
    camera = read_rays(content, SIZE)
    assert isinstance(camera, PinholeCamera)
    assert (camera.intrinsics == 0.5).all()
    assert isinstance(read_rays(files(), SIZE), RayGrid)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("version", [{}, {"version": 1}])
def test_cameras_written_by_others_are_read(save, version):
    buffer = io.BytesIO()
    save(buffer, cam2world=np.full((4, 4), 2.0), intrinsics=np.full((3, 3), 0.5), **version)
    pose, intrinsics = read_rays(buffer.getvalue(), SIZE)
    assert (pose == 2).all()
    assert (intrinsics == 0.5).all()
    assert (pose.dtype, pose.shape, intrinsics.shape) == (np.float32, (4, 4), (3, 3))


def test_a_later_version_is_refused_even_where_it_begins_like_a_camera():
    buffer = io.BytesIO()
    pose, matrix = np.eye(4, dtype=np.float32), np.eye(3, dtype=np.float32)
    np.savez(buffer, cam2world=pose, intrinsics=matrix, version=3)
    for content in (buffer.getvalue(), files(version=3)):
        with pytest.raises(ValueError, match=r"version 3, this release reads 1, a camera, and 2"):
            read_rays(content, SIZE)


def vectors(height=1, width=1, value=0.0, dtype=np.float32):
    return np.full((height, width, 3), value, dtype)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "its rays cannot be read"),
        (b"PK\x03\x04 cut off", "its rays cannot be read"),
        (files()[:-40], "its rays cannot be read"),
        (files(origins=None), "they have no origins"),
        (files(version=None), "they have no cam2world"),
        (files(version="2"), r"their version are \(\) <U1"),
        (files(size=np.array([48, 40])), r"their size is \[48, 40\], that of the image \[40, 48\]"),
        (files(origins=vectors(dtype=np.float16)), "float16, not .h, w, 3. float32"),
        (files(origins=np.zeros((3, 1, 1), np.float32)), r"origins are \(3, 1, 1\) float32, not"),
        (files(origins=vectors(0)), "their origins have 0 x 1 nodes, expected 1 x 1 to 40 x 48"),
        (files(origins=vectors(41)), "their origins have 41 x 1 nodes"),
        (files(origins=vectors(value=np.nan)), "their origins are not all finite"),
        (files(origins=vectors(value=3e38)), "their origins are not all finite, or beyond 1e.18"),
        (files(directions=vectors(value=np.inf)), "their directions are not all finite"),
        (files(directions=vectors(value=0.5)), "their directions are 0.866025 to 0.866025 long"),
    ],
)
def test_what_is_no_rays_file_is_named(content, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_rays(content, SIZE)


def announcing(
    shape: str, content: bytes, npy: bytes = b"\x01\x00", compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A rays file whose origins announce a shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    member = b"\x93NUMPY" + npy + len(header).to_bytes(2, "little") + header + content
    buffer = io.BytesIO(files(origins=None))
    with zipfile.ZipFile(buffer, "a", compression) as archive:
        archive.writestr("origins.npy", member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ("(100000, 100000, 3)", r"origins are \(100000, 100000, 3\) float32, at most 5760 numbers"),
        ("(-1, 4, 3)", "at most 5760 numbers expected"),
        ("(2, 1, 3)", r"have 13 bytes, \(2, 1, 3\) float32 announced"),
        ("(1, 1, 3)", r"have 13 bytes, \(1, 1, 3\) float32 announced"),
        ("(((", "its rays cannot be read"),
    ],
)
def test_no_more_is_read_than_an_image_can_have(shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_rays(announcing(shape, bytes(13)), SIZE)


def test_forms_whose_size_is_not_known_beforehand_are_refused():
    with pytest.raises(ValueError, match=r"their origins are no npy of version 1\.0"):
        read_rays(announcing("(1, 1, 3)", bytes(12), npy=b"\x02\x00"), SIZE)
    with pytest.raises(ValueError, match="their origins are compressed otherwise than by deflate"):
        read_rays(announcing("(1, 1, 3)", bytes(12), compression=zipfile.ZIP_LZMA), SIZE)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("stored", [np.float32, np.float64])
def test_a_camera_that_is_not_finite_is_refused(value, stored):
    buffer = io.BytesIO()
    pose = np.eye(4)
    pose[0, 3] = value
    with np.errstate(over="ignore"):
        np.savez(buffer, cam2world=pose.astype(stored), intrinsics=np.eye(3, dtype=stored))
    with pytest.raises(ValueError, match="its camera has numbers that are not finite"):
        read_rays(buffer.getvalue(), SIZE)


@pytest.mark.parametrize(
    ("pose", "matrix", "sentence"),
    [
        (np.zeros((4, 4)), np.eye(3), "its camera looks in no direction"),
        (np.eye(4), np.zeros((3, 3)), "its camera has a focal length of 0"),
        (np.eye(4), 3e38 * np.eye(3), "its camera has numbers that are not finite, or beyond"),
    ],
)
def test_a_camera_without_rays_is_refused(pose, matrix, sentence):
    buffer = io.BytesIO()
    np.savez(buffer, cam2world=pose.astype(np.float32), intrinsics=matrix.astype(np.float32))
    with pytest.raises(ValueError, match=sentence):
        read_rays(buffer.getvalue(), SIZE)


def test_a_camera_may_scale_its_axes():
    found = read_rays(encode_camera(np.diag([1e-4, 1e-4, 1e-4, 1]), np.eye(3)), SIZE)
    assert found.cam2world[0, 0] == np.float32(1e-4)


def test_no_bytes_make_the_reader_of_rays_fail():
    for whole in (files(), encode_camera(np.eye(4), np.eye(3)), announcing("(1, 1, 3)", bytes(12))):
        for content in mutations(whole, 500):
            with contextlib.suppress(ValueError):
                read_rays(content, SIZE)


def test_rays_cannot_expand_beyond_what_they_announce():
    content = announcing("(1, 1, 3)", bytes(10**8))
    assert len(content) < 200_000
    with pytest.raises(ValueError, match=r"have 13 bytes, \(1, 1, 3\) float32 announced"):
        read_rays(content, SIZE)


@pytest.mark.parametrize(
    ("origins", "directions", "sentence"),
    [
        (vectors(2), vectors(1, value=1), r"rays must be \(H, W, 3\), got \(2, 1, 3\) and \(1, 1"),
        (np.zeros((4, 3)), np.zeros((4, 3)), r"rays must be \(H, W, 3\)"),
        (vectors(value=np.nan), vectors(), "rays must be finite"),
        (vectors(), vectors(), "directions must be of length 1, got 0 to 0"),
    ],
)
def test_the_writer_refuses_what_are_no_rays(origins, directions, sentence):
    with pytest.raises(ValueError, match=sentence):
        encode_rays(origins, directions)
