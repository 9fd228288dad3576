"""Classifiers say which class of a GAN a photograph shows."""

from pathlib import Path

import pytest
import torch
from tiny_classes import CLASSES, SIDE, save_classifier, tiny_classifier
from torchvision.models import get_model, get_model_weights

from datamodules.errors import DataError
from lightning_modules.inference.inversion.class_guess import IMAGENET_SIDE, open_guess

NETWORK = "squeezenet1_1"
CATEGORIES = get_model_weights(NETWORK).DEFAULT.meta["categories"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained network of torchvision."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("torchvision") / "network.pth"
    torch.save(get_model(NETWORK, weights=None).state_dict(), path)
    return str(path)


def test_a_classifier_of_ours_is_read_by_the_names_of_classes(tmp_path: Path) -> None:
    path = save_classifier(tmp_path / "classifier.ckpt")
    photos = torch.rand(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    photos[:, 0] *= torch.linspace(0, 1, 6)[:, None, None]
    expected = [CLASSES[label] for label in tiny_classifier()(photos).argmax(1).tolist()]
    for names in (CLASSES, CLASSES[::-1], ("lamp", *CLASSES)):
        guess = open_guess(path, None, names)
        assert guess.side == SIDE
        assert [names[guess.label(photo[None])] for photo in photos] == expected
    only = open_guess(path, None, ("lamp", "mug"))
    assert {only.label(photo[None]) for photo in photos} == {1}


def test_torchvision_knows_classes_by_category_or_by_all_wordnet_ids(weights: str) -> None:
    photo = torch.rand(1, 3, IMAGENET_SIDE, IMAGENET_SIDE)
    wnids = [f"n{number:08d}" for number in range(1000)]
    labels = {}
    for kind, names in (("wnids", wnids), ("reversed", wnids[::-1]), ("words", CATEGORIES)):
        guess = open_guess(NETWORK, weights, names)
        labels[kind] = guess.label(photo)
    network = get_model(NETWORK, weights=None)
    network.load_state_dict(torch.load(weights))
    preprocess = get_model_weights(NETWORK).DEFAULT.transforms()
    with torch.no_grad():
        expected = int(network.eval()(preprocess(photo)).argmax())
    assert labels["wnids"] == expected
    assert labels["reversed"] == 999 - expected
    assert CATEGORIES[labels["words"]] == CATEGORIES[expected]
    some = open_guess(NETWORK, weights, ("lamp post", "crane", "tench"))
    assert (some.labels, some.outputs) == ([1, 2], [CATEGORIES.index("crane"), 0])


def test_what_a_classifier_can_not_tell_is_said(weights: str, tmp_path: Path) -> None:
    for names in (("n01440764", "n01443537"), ("chair", "mug")):
        with pytest.raises(
            DataError, match=f"{NETWORK} knows none of the GAN's classes.*--classes"
        ):
            open_guess(NETWORK, weights, names)
    with pytest.raises(DataError, match=r"file of torchvision's squeezenet1_1 in --classifier_w"):
        open_guess(NETWORK, None, CATEGORIES)
    with pytest.raises(
        FileNotFoundError, match=r"There is no file none\.pth: check --classifier_w"
    ):
        open_guess(NETWORK, "none.pth", CATEGORIES)
    with pytest.raises(DataError, match="torchvision has no model 'squeeze'"):
        open_guess("squeeze", weights, CATEGORIES)
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(
        DataError, match=r"other\.pth does not hold the weights of torchvision's sq"
    ):
        open_guess(NETWORK, str(other), CATEGORIES)


def test_a_flipped_bit_in_torchvisions_weights_is_noticed(weights: str, tmp_path: Path) -> None:
    data, path = bytearray(Path(weights).read_bytes()), tmp_path / "flipped.pth"
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"flipped\.pth does not .* the checksum of its record"):
        open_guess(NETWORK, str(path), CATEGORIES)
