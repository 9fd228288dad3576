"""What `wild3d tokens` writes is what training on the fly would compute."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from stub_gpu import streams as streams  # a fixture
from tiny_checkpoints import save_stage1, spread_model
from tiny_gina3d import tiny_gina3d
from tiny_model import SIDE
from tiny_run import write_shards

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_png
from datamodules.build.shapeworld.verb import shapeworld
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.loader import ShardLoader
from datamodules.modalities import visible_share
from datamodules.remote import read_manifest
from datamodules.schema import AnyBatch, Batch
from datamodules.shard_datamodule import ShardDataModule
from datamodules.token_datamodule import TokenDataModule
from datamodules.transfer import Mover
from lightning_modules.cli.main import main
from lightning_modules.inference.loading import weights_hash
from lightning_modules.inference.tokenise import tokenise
from lightning_modules.tools import tokens as verb
from lightning_modules.tools.tokens import tokens


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_stage1(spread_model(), tmp_path_factory.mktemp("stage1") / "best.ckpt")


@pytest.fixture(scope="module")
def token_root(checkpoint: str, tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of `tiny_root`; do not alter."""
    folder = tmp_path_factory.mktemp("tokens") / "out"
    tokens(checkpoint, str(tiny_root), str(folder), batch_size=5)
    return folder


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def two_passes(loader: ShardLoader) -> list[AnyBatch]:
    return [*loader, *loader]


@pytest.mark.usefixtures("streams")
def test_images_that_a_thread_moves_have_the_same_tokens(
    checkpoint: str,
    tiny_root: Path,
    token_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verb, "mover_to", lambda device: Mover(torch.device(device)))
    tokens(checkpoint, str(tiny_root), str(tmp_path), batch_size=5, device="cpu")
    moved, still = (contents(root) for root in (tmp_path, token_root))
    assert moved.keys() == still.keys()
    assert all(moved[name] == still[name] for name in still if name.endswith(".tar"))


@pytest.mark.parametrize("workers", [0, 2])
def test_tokens_equal_those_computed_on_the_fly(
    tiny_root: Path, token_root: Path, workers: int
) -> None:
    images = ShardDataModule(str(tiny_root), SIDE, 4, num_workers=0, lanes=4, seed=3)
    stored = TokenDataModule(str(token_root), 4, num_workers=workers, lanes=4, seed=3)
    images.setup()
    stored.setup()
    model, seen = spread_model(), {}
    both = zip(
        two_passes(images.train_dataloader()), two_passes(stored.train_dataloader()), strict=True
    )
    for image, token in both:
        assert token.keys == image.keys
        assert torch.equal(token.tokens, tokenise(model, image))
        assert torch.equal(token.label, image.label)
        for key, row in zip(token.keys, token.tokens.tolist(), strict=True):
            seen.setdefault(key, set()).add(tuple(row))
    # Two epochs of each image, of which some are mirrored once and have other tokens then.
    assert len(seen) == 24
    assert {len(rows) for rows in seen.values()} == {1, 2}
    for image, token in zip(images.val_dataloader(), stored.val_dataloader(), strict=True):
        assert token.keys == image.keys
        assert torch.equal(token.tokens, tokenise(model, image))


def test_a_model_that_looks_at_rays_and_masks_is_given_both(tmp_path: Path) -> None:
    root, out = str(tmp_path / "images"), str(tmp_path / "tokens")
    shapeworld(root, images=24, val_fraction=0.5, resolution=64, half_hidden=1.0, workers=1)
    model = tiny_gina3d().eval()
    tokens(save_stage1(model, tmp_path / "best.ckpt"), root, out, batch_size=5)
    images = ShardDataModule(root, 16, 4, mask=True, rays=True, num_workers=0, lanes=4)
    stored = TokenDataModule(out, 4, num_workers=0, lanes=4)
    images.setup()
    stored.setup()
    pairs = [
        *zip(images.train_dataloader(), stored.train_dataloader(), strict=True),  # some mirrored
        *zip(images.val_dataloader(), stored.val_dataloader(), strict=True),
    ]
    for image, token in pairs:
        assert token.keys == image.keys
        assert torch.equal(token.tokens, tokenise(model, image))
        assert not torch.equal(token.tokens, tokenise(model, replace(image, mask=None)))
        assert not torch.equal(token.tokens, tokenise(model, replace(image, rays=None)))


def test_other_masks_need_other_tokens(tmp_path: Path) -> None:
    root, out = str(tmp_path / "images"), str(tmp_path / "tokens")
    shapeworld(root, images=8, val_fraction=0.5, resolution=64, half_hidden=1.0, workers=1)
    saved = save_stage1(tiny_gina3d().eval(), tmp_path / "best.ckpt")
    tokens(saved, root, out)
    path = Path(root, "manifest.json")
    manifest = json.loads(path.read_text())
    for shards in manifest["splits"].values():
        for shard in shards:
            shard["files"]["mask"]["sha256"] = 64 * "0"
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="source_mask"):
        tokens(saved, root, out)


@pytest.fixture(scope="module")
def hidden_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Photographs of objects, half of them half hidden, in shards; do not alter."""
    root = str(tmp_path_factory.mktemp("hidden") / "images")
    shapeworld(root, 24, 0.25, 64, half_hidden=0.5, samples_per_shard=10, workers=1)
    return root


def every_image(datamodule: ShardDataModule | TokenDataModule) -> Iterator[AnyBatch]:
    """All images of both splits, one a batch."""
    datamodule.setup()
    return chain(datamodule.train_dataloader(), datamodule.val_dataloader())


def codes(root: Path) -> dict[str, list[int]]:
    """Tokens of every image of a token root by its key."""
    images = every_image(TokenDataModule(str(root), 1, 1, flip=False, lanes=1))
    return {batch.keys[0]: batch.tokens[0].tolist() for batch in images}


def test_images_of_hidden_objects_are_left_out_and_listed(
    checkpoint: str, hidden_root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every, some = tmp_path / "every", tmp_path / "some"
    tokens(checkpoint, hidden_root, str(every))
    capsys.readouterr()
    tokens(checkpoint, hidden_root, str(some), min_visible=0.75)
    told = capsys.readouterr().out.strip().splitlines()
    images = every_image(
        ShardDataModule(hidden_root, SIDE, 1, 1, mask=True, num_workers=0, lanes=1)
    )
    shares = {batch.keys[0]: visible_share(batch.mask.numpy()) for batch in images}
    kept = {key for key, share in shares.items() if share >= 0.75}
    assert 0 < len(kept) < len(shares) == 24
    assert told == [
        f"{len(kept)} images of 4 tokens in {some}",
        f"{24 - len(kept)} images under --min_visible, see {some}/rejected.csv",
    ]
    with open(some / "rejected.csv") as file:
        assert {row["source"]: row["reason"] for row in csv.DictReader(file)} == {
            key: f"under --min_visible 0.75 ({shares[key]:.3f})" for key in shares.keys() - kept
        }
    written = codes(every)
    assert codes(some) == {key: written[key] for key in kept}
    with pytest.raises(DataError, match=r"\(min_visible 0\.75, now 0\.5\): choose another"):
        tokens(checkpoint, hidden_root, str(some), min_visible=0.5)


def test_what_is_visible_is_not_known_without_masks(
    checkpoint: str, tiny_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"min_visible is 0\.5, but .* has no masks"):
        tokens(checkpoint, str(tiny_root), str(tmp_path / "out"), min_visible=0.5)
    assert not (tmp_path / "out").exists()


def test_autocast_does_not_reach_the_encoder() -> None:
    model = spread_model()
    images = torch.randint(0, 256, (8, 3, SIDE, SIDE), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        found = tokenise(model, Batch(tuple(map(str, range(8))), images, torch.full((8,), -1)))
    assert torch.equal(found, model.encode(images.float() / 255).tokens)
    assert found.dtype == torch.int64


def test_the_manifest_tells_weights_source_and_sizes(tiny_root: Path, token_root: Path) -> None:
    images, written = read_manifest(str(tiny_root)), read_manifest(str(token_root))
    assert written.modalities == ("tokens",)
    assert written.classes == images.classes
    for split, shards in images.splits.items():
        assert [s.samples for s in written.splits[split]] == [s.samples for s in shards]
    found = dict(written.parameters)
    source = found.pop("source")
    sizes = {"codes": 8, "tokens": 4, "views": 2, "resolution": SIDE}
    stage1 = weights_hash(spread_model())
    assert found == {"tool": "tokens", "stage1": stage1, "min_visible": 0, **sizes}
    assert len(str(source)) == 64


def test_worker_processes_do_not_change_the_bytes(
    checkpoint: str, tiny_root: Path, token_root: Path, tmp_path: Path
) -> None:
    tokens(checkpoint, str(tiny_root), str(tmp_path), batch_size=5, num_workers=2)
    assert contents(tmp_path) == contents(token_root)


@pytest.mark.parametrize("call", [1, 3, 8])
def test_an_interrupted_build_is_continued(
    checkpoint: str,
    tiny_root: Path,
    token_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    calls: list[int] = []

    def interrupted(*arguments, really=tokenise):
        calls.append(len(calls))
        if len(calls) == call:
            raise KeyboardInterrupt
        return really(*arguments)

    monkeypatch.setattr(verb, "tokenise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tokens(checkpoint, str(tiny_root), str(tmp_path), batch_size=5)
    assert not (tmp_path / "manifest.json").exists()
    assert not list(tmp_path.glob("*/*.partial"))
    begun = len(calls)
    tokens(checkpoint, str(tiny_root), str(tmp_path), batch_size=5)
    # 12 training images in batches of 4 and their mirror images: 6 calls a shard, 2 for validation.
    assert len(calls) - begun == 14 - 6 * ((call - 1) // 6)
    assert contents(tmp_path) == contents(token_root)


def test_the_command_reports_and_refuses_other_weights(
    checkpoint: str, tiny_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["tokens", "--root", str(tiny_root), "--out", str(out), "--checkpoint"]
    assert main([*command, checkpoint]) == 0
    assert capsys.readouterr().out.strip() == f"30 images of 4 tokens in {out}"
    before = contents(out)
    other = spread_model(1)
    assert main([*command, save_stage1(other, tmp_path / "other.ckpt")]) == 2
    old, new = (weights_hash(model)[:12] for model in (spread_model(), other))
    told = capsys.readouterr().err
    assert f"{out} already holds shards" in told
    assert f"(stage1 {old}..., now {new}...): choose another output folder." in told
    assert contents(out) == before


def test_labels_of_any_kind_are_copied(checkpoint: str, tmp_path: Path) -> None:
    record = {"label": 1, "class": "b", "semantics": [0.25, 3.0], "size": [1, 2, 3], "own": "x"}
    image = encode_png(np.zeros((SIDE, SIDE, 3), np.uint8))
    sample = EncodedSample("one", image, "png", record)
    build_shards(tmp_path / "im", {"train": [1]}, lambda *_: [sample], 1, ["a", "b"], SIDE, {})
    tokens(checkpoint, str(tmp_path / "im"), str(tmp_path / "out"))
    datamodule = TokenDataModule(str(tmp_path / "out"), 1, semantics=2, lanes=1)
    datamodule.setup()
    batch = next(iter(datamodule.train_dataloader()))
    assert batch.label.tolist() == [1]
    assert batch.attributes.semantics.tolist() == [[0.25, 3.0]]
    assert batch.attributes.size.tolist() == [[1, 2, 3]]
    stored = (tmp_path / "out/train/tokens-000000.tar").read_bytes()
    assert json.dumps(record, sort_keys=True, separators=(",", ":")).encode() in stored


def test_what_cannot_be_encoded_is_told(
    checkpoint: str, tiny_root: Path, token_root: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(
        DataError, match=r"holds tokens, not images: .* name the root of the images"
    ):
        tokens(checkpoint, str(token_root), out)
    with pytest.raises(DataError, match="batch_size is 0, it must be at least 1"):
        tokens(checkpoint, str(tiny_root), out, batch_size=0)
    text = (tiny_root / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"resolution": 16', '"resolution": 8'))
    with pytest.raises(DataError, match=r"the model encodes 16 pixels, the images in .* have 8"):
        tokens(checkpoint, str(tmp_path), out)


def test_an_unusable_image_stops_with_its_name(checkpoint: str, tmp_path: Path) -> None:
    write_shards(tmp_path / "im", train=(3,), val=())
    path = tmp_path / "im/train/rgb-000000.tar"
    path.write_bytes(path.read_bytes().replace(b"\x89PNG", b"\x00\x00\x00\x00", 1))
    with pytest.raises(DataError, match=r"rgb-000000.tar, key train0000: its image cannot be deco"):
        tokens(checkpoint, str(tmp_path / "im"), str(tmp_path / "out"))


def test_no_file_stays_open(checkpoint: str, tiny_root: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tokens(checkpoint, str(tiny_root), str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("value", [float("nan"), 1e38])
def test_tokens_of_a_diverged_model_are_refused(
    value: float,
    checkpoint: str,
    tiny_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    for name, weight in content["state_dict"].items():
        if "encoder" in name:
            weight.fill_(value)
    torch.save(content, tmp_path / "diverged.ckpt")
    command = ["tokens", "--checkpoint", str(tmp_path / "diverged.ckpt"), "--root", str(tiny_root)]
    assert main([*command, "--out", str(tmp_path / "tokens")]) == 2
    assert "not finite" in capsys.readouterr().err
    assert not list((tmp_path / "tokens").glob("*.tar"))
