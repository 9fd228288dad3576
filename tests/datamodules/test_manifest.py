import json
from dataclasses import replace

import pytest

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


def test_text_that_is_no_json(root):
    with pytest.raises(DataError, match="here is not a shard manifest"):
        Manifest.from_json("<html>", "here")


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
