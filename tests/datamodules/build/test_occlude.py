import csv
from pathlib import Path

import numpy as np
import pytest
from photo_folders import everything, files, photograph, write, write_photos
from PIL import Image

from datamodules.build import driver
from datamodules.build.encode import encode_mask
from datamodules.build.folder_samples import Listed, with_occluders
from datamodules.build.occlude import cut_out, hidden_shares, occluded
from datamodules.build.search import SourceImage
from datamodules.errors import DataError

SIDE = 32


def square(corner: tuple[int, int], side: int) -> np.ndarray:
    """Pixels (SIDE, SIDE) of a square."""
    found = np.zeros((SIDE, SIDE), bool)
    found[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = True
    return found


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), (level, level, level))


def cut_square(side: int, level: int) -> Image.Image:
    return cut_out(grey(level), square((3, 5), side).astype(np.uint8))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cover", [(0.2, 0.3), (0.5, 0.6), (0.9, 1.0)])
def test_the_wanted_share_is_hidden(seed: int, cover: tuple[float, float]) -> None:
    body = square((8, 8), 16)
    image, over = occluded(grey(50), body, cut_square(18, 200), (1.0, 1.0), cover, seed)
    assert cover[0] <= (over & body).sum() / body.sum() <= cover[1]
    pixels = np.asarray(image)
    assert (pixels[~over] == 50).all()
    assert (pixels[over] > 50).all()
    assert (pixels == 200).sum() > 0.6 * over.sum()  # all but its soft rim


def test_sizes_and_places_follow_the_seed() -> None:
    body, shape = square((8, 8), 16), cut_square(18, 200)
    found = [occluded(grey(50), body, shape, (1.0, 1.0), (0.2, 0.6), n)[1] for n in (*range(9), 0)]
    assert (found[0] == found[-1]).all()
    heights = {over.any(1).sum() for over in found}
    assert len(heights) > 3
    assert max(heights) <= 18 * 1.4 + 2


def test_a_small_occluder_hides_as_much_as_it_can() -> None:
    body = square((8, 8), 16)
    _, over = occluded(grey(50), body, cut_square(4, 200), (1.0, 1.0), (0.5, 0.6), 0)
    assert (over <= body).all()
    assert over.any(0).sum() in (5, 6)  # the largest of eight sizes up to 1.4 times 4


def test_shares_of_all_places_are_those_of_moving_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    body, shape = rng.random((7, 5)) < 0.5, rng.random((3, 4)) < 0.5
    shares = hidden_shares(body, shape)
    wide = np.zeros((7 + 4, 5 + 6), bool)
    for row in range(7 + 2):
        for column in range(5 + 3):
            wide[:] = False
            wide[row : row + 3, column : column + 4] = shape
            both = wide[2:9, 3:8] & body
            assert shares[row, column] == pytest.approx(both.sum() / body.sum())


def test_what_surrounds_an_object_does_not_shine_through_its_rim() -> None:
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    shape = square((4, 4), 19)
    white[shape] = 0
    cut = cut_out(Image.fromarray(white), shape.astype(np.uint8))
    image, over = occluded(grey(0), square((8, 8), 16), cut, (0.37, 0.37), (0.1, 1.0), 0)
    assert over.any()
    assert np.asarray(image).max() == 0


def test_an_object_is_cut_out_by_its_mask() -> None:
    codes = square((4, 6), 5).astype(np.uint8)
    codes[0, 0] = 255
    cut = np.asarray(cut_out(grey(9), codes))
    assert cut.shape == (5, 5, 4)
    assert (cut == [9, 9, 9, 255]).all()
    with pytest.raises(ValueError, match="has no pixel of an object"):
        cut_out(grey(9), np.full((SIDE, SIDE), 2, np.uint8))


def test_occluders_are_of_another_class_and_the_share_is_kept() -> None:
    # One class is most of them: those of it share the few others evenly.
    images = [SourceImage(f"k{n}", max(0, n - 590), "", -1, 1, "") for n in range(600)]
    listed = list(with_occluders(images, 0.5, 0))
    hidden = [one for one in listed if one.occluders]
    assert 250 < len(hidden) < 350
    assert all(other.label != one.image.label for one in hidden for other in one.occluders)
    assert {other.label for one in hidden for other in one.occluders} == set(range(10))
    uses = [sum(one.occluders[0].label == label for one in hidden) for label in range(1, 10)]
    assert min(uses) > 10
    assert [one.image for one in listed] == images
    assert list(with_occluders(images, 0.5, 0)) == listed
    assert list(with_occluders(images, 0.5, 1)) != listed
    assert Listed.of_line(hidden[0].line()) == hidden[0]
    with pytest.raises(DataError, match="a split has images of one class only"):
        list(with_occluders(images[:1], 0.5, 0))


def masked_photos(tmp_path: Path) -> Path:
    photos = write_photos(tmp_path)
    for path in (photos / "masks").rglob("*.png"):
        mask = np.zeros((12, 16), np.uint8)
        mask[4:9, 5:11] = 1
        path.write_bytes(encode_mask(mask))
    return photos


HIDE = {"occluded": 1.0, "occluded_cover": (0.2, 0.7), "val_fraction": 0.4}


def build(photos: Path, name: str, **options: object) -> None:
    """Shards of photographs with masks and depth, as PNGs."""
    sidecars = {"masks": str(photos / "masks"), "depth": str(photos / "depth")}
    write(photos, name, **{"image_format": "png", **sidecars, **options})


def test_the_same_command_without_occluders_gives_the_truth(tmp_path: Path) -> None:
    photos = masked_photos(tmp_path)
    build(photos, "hidden", **HIDE)
    build(photos, "truth", val_fraction=0.4)
    hidden = everything(photos / "hidden", mask=True, depth=True)
    truth = everything(photos / "truth", mask=True, depth=True)
    for one, other in zip(hidden, truth, strict=True):
        assert one.keys == other.keys
        over, body = one.mask == 2, other.mask == 1
        assert 0.2 <= (over & body).sum() / body.sum() <= 0.7
        assert (one.image == other.image).all(1)[~over].all()
        assert (one.mask == other.mask)[~over].all()
        assert (one.depth.int()[over] == 0).all()
        assert (one.depth == other.depth)[~over].all()


def test_any_number_of_workers_and_an_interruption_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = masked_photos(tmp_path)
    build(photos, "one", **HIDE)
    build(photos, "two", **HIDE, workers=2)
    assert files(photos / "two") == files(photos / "one")

    def interrupt(root: Path, jobs: list, make_samples: object, workers: int) -> None:
        write_missing(root, jobs[:1], make_samples, workers)
        raise KeyboardInterrupt

    write_missing = driver._write_missing
    monkeypatch.setattr(driver, "_write_missing", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(photos, "three", **HIDE)
    monkeypatch.undo()
    build(photos, "three", **HIDE)
    assert files(photos / "three") == files(photos / "one")
    with pytest.raises(DataError, match=r"written with other settings .*\(occluded_cover"):
        build(photos, "three", **HIDE | {"occluded_cover": (0.2, 0.6)})


def test_images_that_give_no_occluder_do_not_spoil_others(tmp_path: Path) -> None:
    photos = masked_photos(tmp_path)
    (photos / "images/cat/1.jpg").write_bytes(photograph(0)[:150])
    (photos / "masks/dog/2.png").write_bytes(encode_mask(np.zeros((12, 16), np.uint8)))
    build(photos, "hidden", **HIDE)
    build(photos, "truth", val_fraction=0.4)
    hidden, truth = (everything(photos / name, mask=True) for name in ("hidden", "truth"))
    assert [one.keys for one in hidden] == [one.keys for one in truth]
    assert len(hidden) == 9
    for one in hidden:  # the one without object has none to hide
        assert (one.mask == 2).any() == (one.keys[0] != "dog_2")


def test_an_image_whose_occluders_cannot_be_used_is_listed(tmp_path: Path) -> None:
    photos = masked_photos(tmp_path)
    for path in (photos / "masks/cat").iterdir():
        path.write_bytes(encode_mask(np.zeros((12, 16), np.uint8)))
    build(photos, "hidden", **HIDE)
    rows = list(csv.reader((photos / "hidden/rejected.csv").open()))[1:]
    assert {Path(source).parent.name for source, _ in rows} == {"dog"}
    assert all("none of its occluders can be used" in reason for _, reason in rows)


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
