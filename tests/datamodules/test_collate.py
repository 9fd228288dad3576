from dataclasses import replace

import numpy as np
import pytest

from datamodules.augment import Augmentation, Draw
from datamodules.build.encode import encode_depth, encode_mask, encode_png, encode_rays
from datamodules.collate import collate
from datamodules.decode import ImageDecoder
from datamodules.errors import DataError
from datamodules.join import RawSample

PARTS = ("depth", "mask", "rays", "semantics")


@pytest.fixture
def sample():
    """A sample of 2 x 2 pixels with depth, mask, rays and semantics."""
    sidecars = {
        "depth": encode_depth(np.ones((2, 2), np.uint16)),
        "mask": encode_mask(np.ones((2, 2), np.uint8)),
        "rays": encode_rays(np.zeros((2, 2, 3)), np.full((2, 2, 3), 3**-0.5)),
    }
    image = bytearray(encode_png(np.zeros((2, 2, 3), np.uint8)))
    content = {name: bytearray(value) for name, value in sidecars.items()}
    raw = RawSample("first", "png", image, {"semantics": [0.5]}, content)
    return ImageDecoder(Augmentation(2), semantics=1, rays=True)(raw, Draw(False, 0.0, 0.0))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("lacking", [0, 1])
def test_a_sample_that_lacks_what_others_of_its_batch_have_is_named(sample, part, lacking):
    samples = [sample, replace(sample, key="second")]
    samples[lacking] = replace(samples[lacking], **{part: None})
    name = ("first", "second")[lacking]
    with pytest.raises(DataError, match=f"key {name} has no {part}, other images of its batch"):
        collate(samples)


def test_what_no_sample_has_the_batch_lacks(sample):
    bare = replace(sample, **dict.fromkeys(PARTS))
    batch = collate([bare, bare])
    assert (batch.depth, batch.mask, batch.rays, batch.camera) == (None, None, None, None)
    assert batch.attributes.semantics is None
    assert collate([sample, sample]).rays.directions.shape == (2, 2, 2, 3)
