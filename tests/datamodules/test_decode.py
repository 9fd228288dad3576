import io
import math

import numpy as np
import pytest
from PIL import Image

from datamodules.augment import Augmentation, Draw
from datamodules.build.encode import (
    encode_camera,
    encode_depth,
    encode_jpeg,
    encode_mask,
    encode_png,
)
from datamodules.decode import ImageDecoder
from datamodules.join import RawSample
from datamodules.modalities import RAYS

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


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_modality_comes_back_exactly():
    depth = RNG.integers(0, 65536, (6, 8), np.uint16)
    mask = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (6, 8))
    pose, intrinsics = RNG.random((4, 4), np.float32), np.eye(3, dtype=np.float32)
    content = raw(
        record={"label": 7, "size": [4, 2, 1.5], "time_of_day": "night"},
        depth=encode_depth(depth),
        mask=encode_mask(mask),
        rays=encode_camera(pose, intrinsics),
    )
    sample = ImageDecoder(Augmentation(6), camera=RAYS in content.sidecars)(content, DRAW)
    assert (sample.image == PIXELS.transpose(2, 0, 1)[:, :, 1:7]).all()
    assert (sample.depth == depth[:, 1:7]).all()
    assert sample.depth.dtype == np.uint16
    assert (sample.mask == mask[:, 1:7]).all()
    assert (sample.camera.cam2world == pose).all()
    assert (sample.label, sample.time_of_day, sample.size.tolist()) == (7, 2, [4, 2, 1.5])


def test_around_the_object_there_is_the_background_and_no_depth():
    depth = np.full((6, 8), 9, np.uint16)
    mask = RNG.choice(np.array([0, 1, 2, 255], np.uint8), (6, 8))
    content = raw(depth=encode_depth(depth), mask=encode_mask(mask))
    sample = ImageDecoder(Augmentation(6, background=0.6))(content, DRAW)
    inside = mask[:, 1:7] == 1
    pixels = PIXELS.transpose(2, 0, 1)[:, :, 1:7]
    assert (sample.image == np.where(inside, pixels, 153)).all()
    assert (sample.depth == np.where(inside, 9, 0)).all()
    assert (sample.mask == mask[:, 1:7]).all()


def test_a_background_needs_masks():
    with pytest.raises(ValueError, match="it has no mask, which the background needs"):
        ImageDecoder(Augmentation(6, background=0.6))(raw(), DRAW)


def test_what_is_not_recorded_is_unknown():
    sample = ImageDecoder(Augmentation(6))(raw(), DRAW)
    assert (sample.label, sample.time_of_day) == (-1, -1)
    assert np.isnan(sample.size).all()


def test_webp_and_grey_images_decode_to_three_channels():
    sample = ImageDecoder(Augmentation(6))(raw(webp(PIXELS), "webp"), DRAW)
    assert (sample.image == PIXELS.transpose(2, 0, 1)[:, :, 1:7]).all()
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0]).save(buffer, "JPEG")
    assert ImageDecoder(Augmentation(6))(raw(buffer.getvalue(), "jpg"), DRAW).image.shape[0] == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (raw(b""), "its image is empty"),
        (raw(b"\x89PNG nonsense"), "its image cannot be decoded .it is no PNG"),
        (raw(encode_jpeg(PIXELS)), "its image cannot be decoded .it is no PNG"),
        (raw(encode_png(PIXELS), "webp"), "its image cannot be decoded .it is no WEBP"),
        (raw(encode_jpeg(PIXELS)[:200], "jpg"), "its image cannot be decoded"),
        (
            raw(png(np.full((6, 8), 1000, np.uint16))),
            "its image has torch.uint16 pixels, expected 8 bits a channel",
        ),
        (raw(extension="tiff"), "its image type 'tiff' is not jpg, png or webp"),
        (raw(encode_png(PIXELS[:5, :5])), "it is 5 x 5, smaller than resolution 6"),
        (raw(depth=encode_mask(np.zeros((6, 8), np.uint8))), "its depth is .* torch.uint8, exp"),
        (raw(mask=encode_mask(np.zeros((6, 6), np.uint8))), r"its mask is \(1, 6, 6\)"),
        (raw(mask=b""), "its mask is empty"),
        (
            raw(mask=png(np.full((6, 8), 7, np.uint8))),
            "its mask has code 7, expected 0, 1, 2 or 255",
        ),
        (raw(rays=b"PK nonsense"), "its rays cannot be read"),
        (raw(rays=b"PK\x03\x04 cut off"), "its rays cannot be read"),
        (raw(rays=b""), "its rays cannot be read"),
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
        ImageDecoder(Augmentation(6), camera=RAYS in content.sidecars)(content, DRAW)
