import contextlib
import json
import math
import os
from dataclasses import replace

import pytest
from hostile import replaced

from datamodules import remote
from datamodules.errors import DataError
from datamodules.manifest import Manifest, images_hash
from datamodules.remote import read_manifest


def altered(root, change) -> str:
    raw = json.loads((root / "manifest.json").read_text())
    change(raw)
    return json.dumps(raw)


def test_round_trip(root):
    text = (root / "manifest.json").read_text()
    manifest = Manifest.from_json(text, "here")
    assert manifest.to_json() == text
    assert manifest.samples("train") == 22
    assert manifest.samples("test") == 0
    assert manifest.modalities == ("rgb", "depth", "mask", "rays")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: raw.update(format_version=9), r"here has format version 9.*reads version 1"),
        (lambda raw: raw.pop("format_version"), r"here is not a shard manifest: key 'format_ver"),
        (lambda raw: raw.pop("splits"), r"here is a malformed manifest: key 'splits' is missing"),
        (lambda raw: raw.update(modalities=["depth"]), r"malformed manifest: modalities \['depth"),
        (
            lambda raw: raw.update(modalities=["rgb", "tokens"]),
            r"are neither rgb with any of depth",
        ),
        (lambda raw: raw["splits"]["val"][0]["files"].pop("mask"), r"shard 000000 of val lists 4"),
        (lambda raw: raw.update(splits=3), r"here is a malformed manifest"),
    ],
)
def test_a_wrong_manifest_is_told_in_one_sentence(root, change, sentence):
    with pytest.raises(DataError, match=sentence):
        Manifest.from_json(altered(root, change), "here")


def of_shard(**changes):
    return lambda raw: raw["splits"]["train"][0].update(changes)


def of_file(**changes):
    return lambda raw: raw["splits"]["train"][0]["files"]["rgb"].update(changes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (of_shard(samples=10**9), "samples of shard 000000 is 1000000000, expected 0 to 1,048,576"),
        (of_shard(samples=1000), "the 'depth' file of shard 000000 has .* too few for 1000"),
        (of_shard(samples=0), "shard 000000 of train lists 0 samples"),
        (of_shard(samples=-1), "samples of shard 000000 is -1"),
        (of_shard(samples=True), "samples of shard 000000 is True, expected an integer"),
        (of_shard(samples=5.0), "samples of shard 000000 is 5.0, expected an integer"),
        (of_shard(samples="5"), "samples of shard 000000 is '5', expected an integer"),
        (of_shard(samples=math.inf), "samples of shard 000000 is inf, expected an integer"),
        (of_shard(name="a\0b"), r"the name of a shard is 'a\\x00b', expected up to 100 letters"),
        (of_shard(name="../a"), "the name of a shard is '../a'"),
        (of_shard(name=".."), "the name of a shard is '..'"),
        (of_shard(name="/etc/a"), "the name of a shard is '/etc/a'"),
        (of_shard(name="$(touch a)"), "the name of a shard is '.*touch a.*'"),
        (of_shard(name="x" * 101), "the name of a shard is 'xxx"),
        (of_shard(name="000001"), "split train lists a shard twice"),
        (of_shard(name=7), "the name of a shard is 7, expected text"),
        (of_shard(files=[]), r"files of shard 000000 is \[\], expected an object"),
        (of_file(bytes=-1), "bytes of the 'rgb' file of shard 000000 is -1, expected 0 to"),
        (of_file(bytes=2**70), "bytes of the 'rgb' file of shard 000000 is 118.*, expected 0 to"),
        (of_file(sha256="zz"), "sha256 of the 'rgb' file of shard 000000 is 'zz', expected 64 hex"),
        (of_file(sha256=None), "sha256 of the 'rgb' file of shard 000000 is None, expected text"),
        (lambda raw: raw.update(classes=["a", 3]), "a class is 3, expected text"),
        (lambda raw: raw.update(classes="abc"), "classes is 'abc', expected a list"),
        (lambda raw: raw.update(modalities=["rgb", "rgb"]), r"modalities \['rgb', 'rgb'\] are"),
        (lambda raw: raw.update(modalities=[[]]), r"a modality is \[\], expected text"),
        (lambda raw: raw.update(resolution=-4), "resolution is -4, expected 1 to 65,536"),
        (lambda raw: raw.update(resolution=math.nan), "resolution is nan, expected an integer"),
        (lambda raw: raw.update(parameters={"a": [1]}), r"'a' is \[1\], expected text, a number"),
        (
            lambda raw: raw.update(parameters={"a": math.inf}),
            "'a' is inf, expected a finite number",
        ),
        (lambda raw: raw.update(splits={"a/b": []}), "the name of a split is 'a/b'"),
        (lambda raw: raw.update(splits=[{}]), "splits is .*, expected an object"),
    ],
)
def test_values_out_of_range_are_named(root, change, sentence):
    with pytest.raises(DataError, match=f"^here is a malformed manifest: {sentence}") as caught:
        Manifest.from_json(altered(root, change), "here")
    assert len(str(caught.value)) < 400


def test_a_key_twice_is_refused_since_the_first_would_be_lost(root):
    text = (root / "manifest.json").read_text().replace('"val":', '"train":')
    with pytest.raises(DataError, match=r"^here is not a shard manifest: it has 'train' twice in "):
        Manifest.from_json(text, "here")


@pytest.mark.parametrize("text", ["<html>", "", "[" * 10**5, "[]", "null", "7", "9" * 5000])
def test_text_that_is_no_manifest(text):
    with pytest.raises(DataError, match="here is not a shard manifest"):
        Manifest.from_json(text, "here")


def test_no_value_makes_the_parser_fail(root):
    raw = json.loads((root / "manifest.json").read_text())
    for changed in replaced(raw, 1500):
        with contextlib.suppress(DataError):
            Manifest.from_json(json.dumps(changed), "here").to_json()


def test_keys_of_later_releases_are_left_alone(root):
    text = altered(root, lambda raw: raw.update(license="CC0"))
    assert Manifest.from_json(text, "here") == read_manifest(str(root))


def test_a_manifest_may_begin_with_the_mark_of_utf8(own_root):
    path = own_root / "manifest.json"
    text = path.read_text()
    path.write_text(text, encoding="utf-8-sig")
    assert read_manifest(str(own_root)).to_json() == text


def test_what_is_no_file_is_no_manifest(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(DataError, match=r"manifest.json is a FIFO, not a file"):
        read_manifest(str(tmp_path))
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(DataError, match=r"manifest.json is a folder, not a file"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("root", ["{}", "pipe:cat {}"])
def test_a_manifest_is_not_read_beyond_its_limit(tmp_path, monkeypatch, root):
    monkeypatch.setattr(remote, "MAX_MANIFEST_BYTES", 2**20)
    (tmp_path / "manifest.json").write_bytes(b" " * 2**20 + b"{}")
    with pytest.raises(DataError, match=r"manifest.json is larger than the 1 MiB that a manifest"):
        read_manifest(root.format(tmp_path))


def test_a_missing_manifest_names_the_folder(tmp_path):
    with pytest.raises(DataError, match=r"is not a shard root, manifest.json cannot be read"):
        read_manifest(str(tmp_path))


def test_the_hash_is_of_the_images_whatever_sidecars_there_are(root):
    manifest = read_manifest(str(root))
    only_rgb = replace(
        manifest,
        modalities=("rgb",),
        splits={
            split: tuple(replace(shard, files={"rgb": shard.files["rgb"]}) for shard in shards)
            for split, shards in manifest.splits.items()
        },
    )
    assert images_hash(only_rgb) == images_hash(manifest)
    other = json.loads((root / "manifest.json").read_text())
    other["splits"]["train"][0]["files"]["rgb"]["sha256"] = "0" * 64
    assert images_hash(Manifest.from_json(json.dumps(other), "here")) != images_hash(manifest)
    assert images_hash(manifest, "mask") != images_hash(manifest)
