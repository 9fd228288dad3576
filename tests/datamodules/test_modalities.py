"""What mask codes say."""

import numpy as np

from datamodules.modalities import visible_share


def test_the_visible_share_is_that_of_object_and_occluders() -> None:
    codes = np.array([1, 1, 1, 2, 0, 0, 255], np.uint8)
    assert visible_share(codes) == 0.75
    assert visible_share(np.array([0, 255], np.uint8)) == 0
