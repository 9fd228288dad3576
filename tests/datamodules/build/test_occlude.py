from pathlib import Path

import numpy as np
import pytest
from photo_folders import everything, files, write, write_photos

from datamodules.build.encode import encode_mask
from datamodules.build.folder_samples import with_occluders
from datamodules.build.occlude import Pixels, occluded, shifted
from datamodules.build.search import SourceImage
from datamodules.errors import DataError

SIDE = 32


def square(corner: tuple[int, int], side: int, grey: int) -> Pixels:
    """A grey square before white."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = 1
    rgb = np.where(mask[..., None] == 1, np.uint8(grey), np.uint8(255)).repeat(3, -1)
    return Pixels(rgb, mask, np.full((SIDE, SIDE), 1000, np.uint16))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cover", [(0.2, 0.3), (0.5, 0.6), (0.7, 0.9)])
def test_the_wanted_share_is_hidden(seed: int, cover: tuple[float, float]) -> None:
    target, other = square((8, 8), 16, 50), square((0, 0), 18, 200)
    laid = occluded(target, other, cover, seed)
    over = laid.mask == 2
    hidden = (over & (target.mask == 1)).sum() / (target.mask == 1).sum()
    assert cover[0] <= hidden <= cover[1]
    assert (laid.rgb[over] == 200).all()
    assert (laid.rgb[~over] == target.rgb[~over]).all()
    assert (laid.mask[~over] == target.mask[~over]).all()
    assert (laid.disparity[over] == 0).all()
    assert (laid.disparity[~over] == 1000).all()


def test_a_small_occluder_hides_as_much_as_it_can() -> None:
    laid = occluded(square((8, 8), 16, 50), square((0, 0), 4, 200), (0.5, 0.6), 0)
    assert ((laid.mask == 2)[8:24, 8:24]).sum() == 16


def test_nothing_without_objects() -> None:
    empty = Pixels(np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(ValueError, match="has no pixel of an object"):
        occluded(empty, square((0, 0), 4, 9), (0.3, 0.6), 0)


def test_shifting_leaves_zeros() -> None:
    values = np.arange(1, 10).reshape(3, 3)
    assert shifted(values, 1, -1).tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]
    assert shifted(values, 5, 0).sum() == 0


def test_occluders_are_of_another_class_and_the_share_is_kept() -> None:
    images = [SourceImage(f"k{n}", n % 3, "", -1, 1, "") for n in range(600)]
    listed = with_occluders(images, 0.5, 0)
    hidden = [one for one in listed if one.occluder is not None]
    assert 250 < len(hidden) < 350
    assert all(one.occluder.label != one.image.label for one in hidden)
    assert [one.image for one in listed] == images
    assert with_occluders(images, 0.5, 0) == listed
    assert with_occluders(images, 0.5, 1) != listed
    with pytest.raises(DataError, match="two classes or more in each split"):
        with_occluders(images[:1], 0.5, 0)


def masked_photos(tmp_path: Path) -> Path:
    photos = write_photos(tmp_path)
    for path in (photos / "masks").rglob("*.png"):
        mask = np.zeros((12, 16), np.uint8)
        mask[4:9, 5:11] = 1
        path.write_bytes(encode_mask(mask))
    return photos


def test_the_same_command_without_occluders_gives_the_truth(tmp_path: Path) -> None:
    photos = masked_photos(tmp_path)
    options = {
        "masks": str(photos / "masks"),
        "depth": str(photos / "depth"),
        "image_format": "png",
    }
    for name, more in (("hidden", {"occluded": 1.0, "occluded_cover": (0.2, 0.7)}), ("truth", {})):
        write(photos, name, val_fraction=0.4, **options, **more)
    hidden = everything(photos / "hidden", mask=True, depth=True)
    truth = everything(photos / "truth", mask=True, depth=True)
    for one, other in zip(hidden, truth, strict=True):
        assert one.keys == other.keys
        over = one.mask == 2
        assert over.any()
        assert (one.image == other.image).all(1)[~over].all()
        assert (one.depth.int()[over] == 0).all()
    write(photos, "again", val_fraction=0.4, workers=2, **options, occluded=1.0,
          occluded_cover=(0.2, 0.7))  # fmt: skip
    assert files(photos / "again") == files(photos / "hidden")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"occluded": 0.5}, "give --masks"),
        ({"occluded": 0.5, "resize": "none"}, "occluded"),
        ({"occluded": 0.5, "occluded_cover": (0.6, 0.3)}, "occluded_cover is 0.6 0.3"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    photos = masked_photos(tmp_path)
    masks = {} if said == "give --masks" else {"masks": str(photos / "masks")}
    with pytest.raises(DataError, match=said):
        write(photos, **masks, **options)
