import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from stub_gpu import streams as streams  # a fixture
from tiny_classes import SIDE, save_classifier, write_classes

from datamodules.augment import Framing
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule
from datamodules.transfer import Mover
from lightning_modules.evaluation import real_features as module
from lightning_modules.evaluation import real_images
from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.networks import open_network
from lightning_modules.evaluation.real_features import RealFeatures, real_features
from lightning_modules.evaluation.real_images import RealImages


@pytest.fixture
def network(classifier: str) -> FeatureNetwork:
    return open_network(classifier)


def compute(network: FeatureNetwork, root: str, cache: Path, **options: object) -> RealFeatures:
    settings = {"split": "train", "resolution": SIDE} | options
    return real_features(network, RealImages.open(root, **settings), str(cache))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits whose features were computed rather than read."""
    splits: list[str] = []

    def counting(*arguments: object) -> RealFeatures:
        splits.append(arguments[1].split)
        return compute_anew(*arguments)

    compute_anew = module._compute
    monkeypatch.setattr(module, "_compute", counting)
    return splits


@pytest.mark.usefixtures("streams")
def test_images_are_moved_to_where_the_network_is(
    network: FeatureNetwork, classes_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []

    def mover(device: torch.device) -> Mover:
        devices.append(device)
        return Mover(device)

    still = compute(network, classes_root, tmp_path / "still", split="val")
    monkeypatch.setattr(real_images, "mover_to", mover)
    moved = compute(network, classes_root, tmp_path / "moved", split="val")
    assert devices == [network.device]
    assert torch.equal(moved.features.vectors, still.features.vectors)
    assert torch.equal(moved.labels, still.labels)


def test_features_are_those_of_the_stored_images(
    network: FeatureNetwork, classes_root: str, tmp_path: Path
) -> None:
    found = compute(network, classes_root, tmp_path, split="val")
    data = ShardDataModule(classes_root, SIDE, 9, num_workers=0, lanes=4)
    data.setup()
    (batch,) = data.val_dataloader()
    assert torch.equal(found.labels, batch.label)
    torch.testing.assert_close(found.features.vectors, network(batch.image).vectors)
    torch.testing.assert_close(found.features.logits, network(batch.image).logits)


@pytest.mark.parametrize("framing", [Framing(background=1.0), Framing(crop_share=0.6)])
def test_images_are_cut_as_in_training_and_kept_apart(
    network: FeatureNetwork,
    classes_root: str,
    tmp_path: Path,
    computed: list[str],
    framing: Framing,
) -> None:
    options = {"num_workers": 0, "lanes": 4} | framing._asdict()
    data = ShardDataModule(classes_root, SIDE // 2, 9, **options)
    assert data.framing == framing
    data.setup()
    (batch,) = data.val_dataloader()
    settings = {"split": "val", "resolution": SIDE // 2}
    for _ in range(2):
        plain = compute(network, classes_root, tmp_path, **settings)
        found = compute(network, classes_root, tmp_path, **settings, framing=framing)
    torch.testing.assert_close(found.features.vectors, network(batch.image).vectors)
    assert not torch.allclose(found.features.vectors, plain.features.vectors)
    assert computed == ["val", "val"]


def test_training_images_come_once_each_and_unaltered(
    network: FeatureNetwork, classes_root: str, tmp_path: Path
) -> None:
    found = compute(network, classes_root, tmp_path)
    assert Counter(found.labels.tolist()) == {0: 12, 1: 6, 2: 6}
    assert len(found.features.vectors.unique(dim=0)) == 24


def test_a_second_evaluation_reads_them(
    network: FeatureNetwork, classes_root: str, tmp_path: Path, computed: list[str]
) -> None:
    first = compute(network, classes_root, tmp_path)
    again = compute(network, classes_root, tmp_path)
    assert computed == ["train"]
    assert torch.equal(first.features.vectors, again.features.vectors)
    assert torch.equal(first.features.logits, again.features.logits)
    assert torch.equal(first.labels, again.labels)
    assert [path.name for path in tmp_path.iterdir()] == [f"{network.name}-{SIDE}px-train.npz"]


def test_other_images_or_weights_under_the_same_name_are_computed_anew(
    network: FeatureNetwork, tmp_path: Path, computed: list[str]
) -> None:
    first, second = (write_classes(tmp_path / str(seed), seed) for seed in (0, 1))
    cache = tmp_path / "cache"
    old = compute(network, first, cache)
    new = compute(network, second, cache)
    assert len(computed) == 2
    assert not torch.equal(old.features.vectors, new.features.vectors)
    compute(dataclasses.replace(network, weights="0" * 64), second, cache)
    assert len(computed) == 3


def test_other_splits_sizes_counts_and_networks_have_files_of_their_own(
    network: FeatureNetwork, classes_root: str, tmp_path: Path
) -> None:
    other = open_network(save_classifier(tmp_path / "other.ckpt", seed=1))
    cache = tmp_path / "cache"
    compute(network, classes_root, cache)
    compute(network, classes_root, cache, split="val")
    compute(network, classes_root, cache, resolution=8)
    few = compute(network, classes_root, cache, most=5)
    compute(other, classes_root, cache)
    assert len(few.labels) == 5
    assert {path.name for path in cache.iterdir()} == {
        f"{network.name}-16px-train.npz",
        f"{network.name}-16px-val.npz",
        f"{network.name}-8px-train.npz",
        f"{network.name}-16px-train-5.npz",
        f"{other.name}-16px-train.npz",
    }


def test_a_damaged_file_is_written_anew(
    network: FeatureNetwork, classes_root: str, tmp_path: Path, computed: list[str]
) -> None:
    first = compute(network, classes_root, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:200])
    again = compute(network, classes_root, tmp_path)
    assert torch.equal(first.features.vectors, again.features.vectors)
    compute(network, classes_root, tmp_path)
    assert computed == ["train", "train"]
    with np.load(path) as arrays:
        assert len(arrays["labels"]) == 24


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vectors": None}, "it has no vectors"),
        ({"labels": None}, "it has no labels"),
        ({"logits": np.zeros((24, 3))[:7]}, "its logits are (7, 3) float64 of 24 images"),
        ({"vectors": np.full((24, 4), np.nan)}, "its vectors are not all finite"),
        ({"logits": np.full((24, 4), np.inf)}, "its logits are not all finite"),
        ({"vectors": np.full((24, 4), 1e300)}, "its vectors are not all finite"),
        ({"labels": np.full(24, 99)}, "its labels are not of 3 classes"),
        ({"vectors": np.zeros(24)}, "its vectors are (24,) float64 of 24 images"),
        ({"labels": np.array(["cat"] * 24)}, "its labels are (24,) <U3 of 24 images"),
    ],
)
def test_features_that_lack_something_are_computed_anew_and_it_is_said(
    network: FeatureNetwork,
    classes_root: str,
    tmp_path: Path,
    computed: list[str],
    caplog: pytest.LogCaptureFixture,
    change: dict[str, np.ndarray | None],
    reason: str,
) -> None:
    first = compute(network, classes_root, tmp_path)
    (path,) = tmp_path.iterdir()
    with np.load(path) as arrays:
        changed = dict(arrays) | change
    np.savez(path, **{name: array for name, array in changed.items() if array is not None})
    again = compute(network, classes_root, tmp_path)
    assert torch.equal(first.features.vectors, again.features.vectors)
    assert torch.equal(first.labels, again.labels)
    assert computed == ["train", "train"]
    assert caplog.messages == [f"{path} is computed anew: {reason}"]


def test_those_of_images_resized_otherwise_are_computed_anew(
    network: FeatureNetwork, classes_root: str, tmp_path: Path, computed: list[str]
) -> None:
    for size in ("to 16 px", "to 32 px", "to 32 px"):
        compute(dataclasses.replace(network, resize=size), classes_root, tmp_path)
    assert computed == ["train", "train"]


def test_by_default_they_lie_in_the_root(network: FeatureNetwork, tmp_path: Path) -> None:
    root = write_classes(tmp_path / "shards")
    real_features(network, RealImages.open(root, "val", SIDE))
    assert [path.name for path in (tmp_path / "shards" / "features").iterdir()] == [
        f"{network.name}-{SIDE}px-val.npz"
    ]


def test_where_nothing_can_be_written_the_knob_is_named(
    network: FeatureNetwork, classes_root: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"can't be written there: name another folder in --cache"):
        compute(network, classes_root, tmp_path / "file")
    images = RealImages.open(f"file://{classes_root}", "val", SIDE)
    with pytest.raises(DataError, match="no local folder: name one in --cache"):
        real_features(network, images)
    assert len(real_features(network, images, str(tmp_path)).labels) == 9


@pytest.mark.parametrize(
    ("split", "resolution", "most", "sentence"),
    [
        ("test", SIDE, None, "has no split 'test': name one of train, val in --split"),
        ("val", 32, None, "resolution 32 is larger than the 16 pixels"),
        ("val", SIDE, 1, "real_images is 1, it must be at least 2"),
    ],
)
def test_images_that_are_not_there_are_refused(
    split: str, resolution: int, most: int | None, sentence: str, classes_root: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        RealImages.open(classes_root, split, resolution, most)
