"""One bad photograph among good ones: the others are made, it is named, and the exit code tells."""

from pathlib import Path

import pytest
from tiny_checkpoints import TinyFiles, save_photo
from tiny_classes import save_classifier
from tiny_gan import save_gan

from lightning_modules.cli.main import main

SMALL = ["--size", "8", "--frames", "1", "--mesh_resolution", "8"]
QUICK = ["--latent_steps", "1", "--tuning_steps", "1", "--candidates", "0", "--views", "1"]
OPTIONS = {
    "reconstruct": SMALL,
    "invert": [*SMALL, *QUICK, "--mesh_level", "1", "--classes", "mug"],
    "video": ["--size", "8", "--frames", "1"],
    "mesh": ["--resolution", "8"],
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good photographs with an empty file and one of text between them."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("a.png", "d.png")):
        save_photo(folder / name, number)
    (folder / "b.jpg").touch()
    (folder / "c.webp").write_text("no picture")
    return folder


@pytest.mark.parametrize("verb", list(OPTIONS))
def test_the_others_are_made(
    verb: str,
    photos: Path,
    tiny_files: TinyFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gan = save_gan(tmp_path / "gan.ckpt")
    checkpoint = gan if verb == "invert" else tiny_files.stage1
    words = ["--checkpoint", checkpoint, "--images", str(photos), "--out", str(tmp_path / "out")]
    assert main([verb, *words, *OPTIONS[verb]]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"wild3d {verb}: 2 of 4 failed: ")
    assert said.count("\n") == 1
    assert "b.jpg" in said
    assert "c.webp" in said
    made = {path.name[0] for path in (tmp_path / "out").iterdir()}
    assert made == {"a", "d"}


def test_a_classifier_sees_the_others(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--checkpoint", save_gan(tmp_path / "gan.ckpt"), "--images", str(photos)]
    words += ["--classifier", save_classifier(tmp_path / "classifier.ckpt")]
    words += [*SMALL, *QUICK, "--mesh_level", "1", "--out", str(tmp_path / "out")]
    assert main(["invert", *words]) == 2
    assert "2 of 4 failed" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").glob("*.ckpt")} == {"a.ckpt", "d.ckpt"}


def test_both_ends_of_a_passage_are_named(
    photos: Path, tiny_files: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = [str(photos / "b.jpg"), str(photos / "c.webp")]
    words = ["--checkpoint", tiny_files.stage1, "--images", *ends, "--out", str(tmp_path / "out")]
    assert main(["interpolate", *words]) == 2
    said = capsys.readouterr().err
    assert all(end in said for end in ends)
    assert not (tmp_path / "out").exists()
