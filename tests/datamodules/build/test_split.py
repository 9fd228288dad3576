"""Both splits keep a usable image where there are two."""

import pytest

from datamodules.build.search import SourceImage
from datamodules.build.split import image_groups, keep_usable, split_images
from datamodules.errors import DataError

IMAGES = [SourceImage(f"k{number}", 0, f"{number}.jpg", -1, 1, "") for number in range(40)]


def keys(images):
    return {image.key for image in images}


def dealt(bad, images=IMAGES, seed=0):
    splits = split_images(images, 0.05, seed)
    return splits, keep_usable(splits, lambda image: image.key not in bad, seed)


def test_a_split_with_a_usable_image_stays_as_it_is():
    first = keys(split_images(IMAGES, 0.3, 0)["val"])
    spared = sorted(first)[0]
    splits = split_images(IMAGES, 0.3, 0)
    assert keep_usable(splits, lambda image: image.key not in first - {spared}, 0) == splits


@pytest.mark.parametrize("seed", [0, 5])
def test_an_image_moves_where_all_of_validation_is_bad(seed):
    before, _ = dealt(set())
    bad = keys(before["val"])
    splits, kept = dealt(bad, seed=seed)
    (moved,) = keys(kept["val"]) - bad
    assert keys(kept["train"]) == keys(splits["train"]) - {moved}
    assert moved == next(iter(keys(dealt(bad)[1]["val"]) - bad))  # whatever the seed
    assert kept["train"] == [image for image in splits["train"] if image.key != moved]


def test_training_comes_first():
    pair = IMAGES[:2]
    splits = split_images(pair, 0.5, 0)
    (train,), (val,) = keys(splits["train"]), keys(splits["val"])
    assert keys(dealt({val}, pair)[1]["train"]) == {train}
    only = dealt({train}, pair)[1]
    assert keys(only["train"]) == {train, val}
    assert "val" not in only


def test_training_gets_one_where_all_of_it_is_bad():
    splits = split_images(IMAGES, 0.5, 0)
    bad = keys(splits["train"])
    kept = keep_usable(splits, lambda image: image.key not in bad, 0)
    assert len(keys(kept["train"]) - bad) == 1
    assert keys(kept["val"]) | keys(kept["train"]) == keys(IMAGES)


def test_where_nothing_is_usable_nothing_moves():
    splits, kept = dealt(keys(IMAGES))
    assert kept == splits


@pytest.mark.parametrize("fraction", [0, 0.02, 0.99])
def test_a_single_image_is_for_training(fraction):
    for image in IMAGES:
        splits = split_images([image], fraction, 0)
        assert splits == {"train": [image]}
        assert keep_usable(splits, lambda image: True, 0) == splits


def test_a_group_is_in_one_split_and_each_class_in_both():
    images = [
        SourceImage(f"{c}{n}-{view}", c, "", -1, 1, f"{c}/{n}-{view}")
        for c in range(4) for n in range(3) for view in range(5)
    ]  # fmt: skip
    groups = image_groups(images, "(.*)-[0-9]+")
    splits = split_images(images, 0.1, 0, groups)
    sides = [{groups[image.key] for image in splits[split]} for split in ("train", "val")]
    assert not sides[0] & sides[1]
    for side in sides:
        assert {group[0] for group in side} == {"0", "1", "2", "3"}
    assert len(splits["train"]) + len(splits["val"]) == len(images)


@pytest.mark.parametrize(("groups", "held_out"), [(1, 0), (2, 1), (8, 1), (10, 2), (35, 6)])
def test_each_class_gives_its_share_of_groups(groups, held_out):
    images = [
        SourceImage(f"{c}{n}-{v}", c, "", -1, 1, f"{c}/{n}-{v}")
        for c in range(3) for n in range(groups) for v in range(2)
    ]  # fmt: skip
    named = image_groups(images, "(.*)-[0-9]+")
    val = split_images(images, 1 / 6, 0, named).get("val", [])
    for label in range(3):
        assert len({named[image.key] for image in val if image.label == label}) == held_out
    assert split_images(images, 0, 0, named).keys() == {"train"}


def test_a_group_may_leave_out_the_end_of_a_name():
    images = [SourceImage(name, 0, "", -1, 1, f"cup/{name}") for name in ("a-1", "a_big-2", "b-1")]
    groups = image_groups(images, "(.*?)(_big)?-[0-9]+$")
    assert groups == {"a-1": "cup/a", "a_big-2": "cup/a", "b-1": "cup/b"}
    with pytest.raises(DataError, match="does not match cup/a-1: change it"):
        image_groups(images, "cup/(.*_big)?")


@pytest.mark.parametrize(("pattern", "said"), [("(", "no regular expression"), ("x", "not match")])
def test_expressions_that_group_nothing_are_refused(pattern, said):
    images = [SourceImage("k0", 0, "", -1, 1, "cat/0")]
    with pytest.raises(DataError, match=said):
        image_groups(images, pattern)
