"""`wild3d semantics` gives images the vectors that the network gives, and changes nothing else."""

import itertools
import tarfile
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tiny_checkpoints import save_stage1, spread_model
from tiny_classes import save_classifier
from tiny_encoder import (
    COUNTS,
    NETWORK,
    SIDE,
    WIDTH,
    mask_of,
    pixels_of,
    record_of,
    save_network,
    write_images,
)
from torch import Tensor
from torchvision.models import get_model, get_model_weights

from datamodules.errors import DataError
from datamodules.join import JoinedShard
from datamodules.modalities import SIDECARS
from datamodules.remote import read_manifest
from datamodules.shard_datamodule import ShardDataModule
from datamodules.token_datamodule import TokenDataModule
from lightning_modules.cli.main import main
from lightning_modules.evaluation.image_encoders import ImageEncoder
from lightning_modules.inference.prior_settings import read_vector
from lightning_modules.stage2 import conditions_of
from lightning_modules.tools.semantics import semantics
from lightning_modules.tools.tokens import tokens
from models.blocks.vit import ViTSize
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.masked import MaskedPrior

NAME = f"torchvision:{NETWORK}"
SETTINGS: dict[str, Any] = {"side": 40, "batch_size": 2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_network(tmp_path_factory.mktemp("network") / "network.pth")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards with all sidecars; do not alter."""
    folder = tmp_path_factory.mktemp("images") / "shards"
    write_images(folder)
    return folder


@pytest.fixture(scope="module")
def described(weights: str, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with vectors of all pixels; do not alter."""
    folder = tmp_path_factory.mktemp("described") / "out"
    semantics(NAME, str(folder), str(images), weights=weights, **SETTINGS)
    return folder


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def records(root: Path) -> dict[str, dict[str, Any]]:
    """Record by key, of all splits."""
    found = {}
    for split, shards in read_manifest(str(root)).splits.items():
        for shard in shards:
            joined = JoinedShard(str(root), split, shard, ("rgb",), strict=True)
            found |= dict(joined.record(row) for row in range(shard.samples))
            joined.close()
    return {key: dict(record) for key, record in found.items()}


def expected_vector(weights: str, pixels: np.ndarray, side: int = 40) -> Tensor:
    """By torchvision alone: what its last convolution is given, averaged as its logits are."""
    network = get_model(NETWORK, weights=None)
    network.load_state_dict(torch.load(weights))
    published = get_model_weights(NETWORK).DEFAULT.transforms()
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    image = torch.nn.functional.interpolate(image, (side, side), mode="bilinear", antialias=True)
    image = image.float() / 255
    mean, std = (torch.tensor(x)[:, None, None] for x in (published.mean, published.std))
    with torch.no_grad():
        features = network.eval().features((image - mean) / std).relu().mean((2, 3))[0]
    return features / features.norm()


def test_vectors_equal_those_of_a_direct_call(weights: str, described: Path) -> None:
    found = records(described)
    assert len(found) == 12
    for split, counts in COUNTS.items():
        for number in range(sum(counts)):
            numbers = found[f"{split}{number:03d}"]["semantics"]
            assert all(value == float(f"{value:.6g}") for value in numbers)
            vector = torch.tensor(numbers)
            assert vector.shape == (WIDTH,)
            assert vector.norm().item() == pytest.approx(1, abs=1e-5)
            expected = expected_vector(weights, pixels_of(split, number))
            torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)


def test_all_else_is_as_it_was(images: Path, described: Path) -> None:
    before, after = contents(images), contents(described)
    assert before.keys() == after.keys()
    sidecars = [name for name in before if Path(name).name.startswith(SIDECARS)]
    assert len(sidecars) == 9
    assert all(before[name] == after[name] for name in sidecars)
    for name in sorted(before.keys() - {*sidecars, "manifest.json"}):
        members = []
        for root in (images, described):
            with tarfile.open(root / name) as tar:
                files = {one.name: tar.extractfile(one).read() for one in tar}
            members.append({key: file for key, file in files.items() if not key.endswith("json")})
        assert members[0] == members[1]
        assert list(members[0]) == list(members[1])
    for key, record in records(described).items():
        assert {**record, "semantics": None} == {**record_of(int(key[-3:])), "semantics": None}
    old, new = read_manifest(str(images)), read_manifest(str(described))
    assert (new.classes, new.modalities, new.resolution) == (old.classes, old.modalities, SIDE)


def test_the_manifest_tells_what_made_the_vectors(described: Path) -> None:
    found = dict(read_manifest(str(described)).parameters)
    hashes = [found.pop(name) for name in sorted(found) if name.startswith("source_")]
    assert [len(str(value)) for value in [*hashes, found.pop("weights")]] == [64] * 5
    assert found == {
        **{"tool": "semantics", "network": NAME, "side": 40, "semantics": WIDTH, "masked": False},
        **{"source.tool": "test", "source.seed": 3},
    }


@pytest.mark.parametrize("call", [1, 3, 6])
def test_an_interrupted_command_is_continued(
    weights: str,
    images: Path,
    described: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    calls: list[int] = []

    def interrupted(self, *arguments, really=ImageEncoder.__call__):
        calls.append(len(calls))
        if len(calls) == call:
            raise KeyboardInterrupt
        return really(self, *arguments)

    given = (NAME, str(tmp_path / "out"), str(images))
    monkeypatch.setattr(ImageEncoder, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        semantics(*given, weights=weights, **SETTINGS)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list(tmp_path.rglob("*.partial"))
    begun = len(calls)
    semantics(*given, weights=weights, **SETTINGS)
    # 5, 4 and 3 images in batches of 2 are 3, 2 and 2 calls.
    assert len(calls) - begun == 7 - {1: 0, 3: 0, 6: 5}[call]
    assert contents(tmp_path / "out") == contents(described)


def test_the_command_refuses_other_settings(
    weights: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "out", save_network(tmp_path / "other.pth", seed=1)
    command = ["semantics", "--root", str(images), "--out", str(out), "--network", NAME]
    assert main([*command, "--weights", weights, "--side", "32"]) == 0
    said = capsys.readouterr().out.strip()
    assert said == f"12 images in {out}: their semantics have {WIDTH} numbers"
    before = contents(out)
    for changed, named in (
        (["--weights", other, "--side", "32"], "(weights "),
        (["--weights", weights, "--side", "33"], "(side 32, now 33)"),
        (["--weights", weights, "--side", "32", "--masked", "true"], "(masked False, now True)"),
    ):
        assert main([*command, *changed]) == 2
        told = capsys.readouterr().err
        assert f"{out} already holds shards written with other settings" in told
        assert named in told
    assert contents(out) == before


def test_masked_images_show_the_object_on_white(
    weights: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    semantics(NAME, str(tmp_path), str(images), weights=weights, masked=True, **SETTINGS)
    said = capsys.readouterr().out
    for split, count in (("train", 5), ("val", 3)):
        sentence = f"1 of {count} images without pixels of an object get no vector, "
        assert f"{split}, shard 000000: {sentence}first {split}002." in said
    found = records(tmp_path)
    for number in (0, 1, 8):
        alone = pixels_of("train", number)
        alone[mask_of(number) != 1] = 255
        vector = torch.tensor(found[f"train{number:03d}"]["semantics"])
        torch.testing.assert_close(vector, expected_vector(weights, alone), atol=1e-5, rtol=1e-4)
    datamodule = ShardDataModule(str(tmp_path), 16, 9, semantics=WIDTH, lanes=1, num_workers=0)
    datamodule.setup()
    batch = next(iter(datamodule.train_dataloader()))
    unknown = batch.attributes.semantics.isnan().all(1).tolist()
    assert unknown == [key == "train002" for key in batch.keys]


def test_masks_are_needed_to_show_objects_alone(weights: str, tmp_path: Path) -> None:
    write_images(tmp_path / "images", sidecars=False)
    with pytest.raises(DataError, match="has no masks: add them, or leave --masked out"):
        semantics(
            NAME, str(tmp_path / "out"), str(tmp_path / "images"), weights=weights, masked=True
        )
    assert not (tmp_path / "out").exists()


def test_an_unusable_image_is_named(weights: str, tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    path = tmp_path / "images/train/rgb-000001.tar"
    path.write_bytes(path.read_bytes().replace(b"\x89PNG", b"\x00\x00\x00\x00", 1))
    with pytest.raises(DataError, match=r"train/rgb-000001.tar, key train005: it is no PNG"):
        semantics(NAME, str(tmp_path / "out"), str(tmp_path / "images"), weights=weights)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_images_of_nothing_but_zeros_are_named(images: Path, tmp_path: Path) -> None:
    weights = tmp_path / "zero.pth"
    zero = {name: 0 * value for name, value in get_model(NETWORK).state_dict().items()}
    torch.save(zero, weights)
    with pytest.raises(DataError, match=r"key train000: what torchvision:squeezenet1_1 makes of"):
        semantics(NAME, str(tmp_path / "out"), str(images), weights=str(weights))


def test_photographs_become_files_for_sampling(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (0, 1):
        iio.imwrite(tmp_path / f"{number}.png", pixels_of("train", number))
    out, names = tmp_path / "vectors", [str(tmp_path / f"{number}.png") for number in (0, 1)]
    command = ["semantics", "--network", NAME, "--weights", weights, "--side", str(SIDE)]
    assert main([*command, "--images", *names, str(tmp_path / "no.png"), "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert told.out.strip() == f"2 vectors of {WIDTH} numbers in {out}"
    assert "1 of 3 failed: " in told.err
    assert sorted(path.name for path in out.iterdir()) == ["0.npy", "1.npy"]
    for number in (0, 1):
        found = read_vector(str(out / f"{number}.npy"), "--semantics")
        expected = expected_vector(weights, pixels_of("train", number), SIDE)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_classifier_of_ours_describes_images_smaller_than_its_own(
    images: Path, tmp_path: Path
) -> None:
    path = save_classifier(tmp_path / "classifier.ckpt")
    semantics(path, str(tmp_path / "out"), str(images), side=100)
    vector = torch.tensor(records(tmp_path / "out")["val000"]["semantics"])
    assert vector.shape == (32,)
    assert read_manifest(str(tmp_path / "out")).parameters["network"].startswith("classifier-tiny-")


def test_vectors_reach_a_masked_prior_by_way_of_tokens(described: Path, tmp_path: Path) -> None:
    stage1 = save_stage1(spread_model(), tmp_path / "stage1.ckpt")
    tokens(stage1, str(described), str(tmp_path / "tokens"))
    stored = records(described)
    datamodule = TokenDataModule(str(tmp_path / "tokens"), 9, semantics=WIDTH, lanes=1)
    datamodule.setup()
    batch = next(iter(datamodule.train_dataloader()))
    for key, vector in zip(batch.keys, batch.attributes.semantics.tolist(), strict=True):
        assert vector == pytest.approx(stored[key]["semantics"], rel=1e-6)
    conditions, model = conditions_of(batch), spread_model()
    for classes, size, time in itertools.product((0, 2), (False, True), (False, True)):
        kinds = ConditionKinds(classes, size, time, WIDTH)
        prior = MaskedPrior(model.codes, model.layout, ViTSize(16, 1, 2), kinds)
        rng = torch.Generator().manual_seed(0)
        given = ConditionDropout(0.0, 0.5).apply(conditions, rng)
        known = given.known()[:, [True, size, time, True]]
        assert 0 < known.float().mean() < 1
        result = prior.training_loss(batch.tokens, given, rng)
        result.loss.backward()
        assert prior.prefix.semantics.weight.grad.any()
        assert prior.prefix.semantics_open.grad.any()
