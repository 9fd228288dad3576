import io
import math

import numpy as np
import pytest
from PIL import Image

from datamodules.augment import Augmentation, Draw
from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask, encode_png, encode_rays
from datamodules.decode import decode_sample, read_camera
from datamodules.join import RawSample

DRAW = Draw(False, 0.0, 0.0)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (6, 8, 3), np.uint8)


def raw(image=None, extension="png", record=None, **sidecars) -> RawSample:
    content = {name: bytearray(value) for name, value in sidecars.items()}
    image = encode_png(PIXELS) if image is None else image
    return RawSample("k", extension, bytearray(image), record or {}, content)


def webp(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def test_every_modality_comes_back_exactly():
    depth = RNG.integers(0, 65536, (6, 8), np.uint16)
    mask = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (6, 8))
    pose, intrinsics = RNG.random((4, 4), np.float32), np.eye(3, dtype=np.float32)
    content = raw(
        record={"label": 7, "size": [4, 2, 1.5], "time_of_day": "night"},
        depth=encode_depth(depth),
        mask=encode_mask(mask),
        rays=encode_rays(pose, intrinsics),
    )
    sample = decode_sample(content, Augmentation(6), DRAW)
    assert (sample.image == PIXELS.transpose(2, 0, 1)[:, :, 1:7]).all()
    assert (sample.depth == depth[:, 1:7]).all()
    assert sample.depth.dtype == np.uint16
    assert (sample.mask == mask[:, 1:7]).all()
    assert (sample.cam2world == pose).all()
    assert (sample.label, sample.time_of_day, sample.size.tolist()) == (7, 2, [4, 2, 1.5])


def test_around_the_object_there_is_the_background_and_no_depth():
    depth = np.full((6, 8), 9, np.uint16)
    mask = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (6, 8))
    content = raw(depth=encode_depth(depth), mask=encode_mask(mask))
    sample = decode_sample(content, Augmentation(6, background=0.6), DRAW)
    inside = mask[:, 1:7] == 1
    pixels = PIXELS.transpose(2, 0, 1)[:, :, 1:7]
    assert (sample.image == np.where(inside, pixels, 153)).all()
    assert (sample.depth == np.where(inside, 9, 0)).all()
    assert (sample.mask == mask[:, 1:7]).all()


def test_what_is_not_recorded_is_unknown():
    sample = decode_sample(raw(), Augmentation(6), DRAW)
    assert (sample.label, sample.time_of_day) == (-1, -1)
    assert np.isnan(sample.size).all()


def test_webp_and_grey_images_decode_to_three_channels():
    sample = decode_sample(raw(webp(PIXELS), "webp"), Augmentation(6), DRAW)
    assert (sample.image == PIXELS.transpose(2, 0, 1)[:, :, 1:7]).all()
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0]).save(buffer, "JPEG")
    assert decode_sample(raw(buffer.getvalue(), "jpg"), Augmentation(6), DRAW).image.shape[0] == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (raw(b""), "its image is empty"),
        (raw(b"\x89PNG nonsense"), "its image cannot be decoded"),
        (raw(encode_jpeg(PIXELS)[:200], "jpg"), "its image cannot be decoded"),
        (raw(extension="tiff"), "its image type 'tiff' is not jpg, png or webp"),
        (raw(encode_png(PIXELS[:5, :5])), "it is 5 x 5, smaller than resolution 6"),
        (raw(depth=encode_mask(np.zeros((6, 8), np.uint8))), "its depth is .* torch.uint8, exp"),
        (raw(mask=encode_mask(np.zeros((6, 6), np.uint8))), r"its mask is \(1, 6, 6\)"),
        (raw(mask=b""), "its mask is empty"),
        (raw(rays=b"PK nonsense"), "its rays are not cam2world and intrinsics"),
        (raw(rays=b"PK\x03\x04 cut off"), "its rays are not cam2world and intrinsics"),
        (raw(rays=b""), "its rays are not cam2world and intrinsics"),
        (raw(record={"label": "cat"}), "its label is 'cat', expected an integer"),
        (raw(record={"size": [1, 2]}), r"its size is \[1, 2\]"),
        (raw(record={"size": [1, 0, 2]}), r"its size is \[1, 0, 2\], expected .* all above 0"),
        (raw(record={"size": [1, None, 2]}), "expected .length, width, height., all above 0"),
        (raw(record={"size": [1, {}, 2]}), "expected .length, width, height., all above 0"),
        (raw(record={"size": [1, 2, math.inf]}), "expected .length, width, height., all above 0"),
        (raw(record={"time_of_day": "noon"}), "expected one of day, dawn_dusk, night"),
    ],
)
def test_faults_are_named(content, sentence):
    with pytest.raises(ValueError, match=sentence):
        decode_sample(content, Augmentation(6), DRAW)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_cameras_written_by_others_are_read(save):
    buffer = io.BytesIO()
    save(buffer, intrinsics=np.full((3, 3), 0.5), cam2world=np.full((4, 4), 2.0))
    pose, intrinsics = read_camera(buffer.getvalue())
    assert (pose == 2).all()
    assert (intrinsics == 0.5).all()
    assert (pose.dtype, pose.shape, intrinsics.shape) == (np.float32, (4, 4), (3, 3))
