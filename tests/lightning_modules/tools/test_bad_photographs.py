"""One bad photograph among good ones: the others are made, it is named, and the exit code tells."""

from pathlib import Path

import pytest
from tiny_checkpoints import TinyFiles, save_photo
from tiny_classes import save_classifier
from tiny_gan import save_gan

from lightning_modules.cli.main import main

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize("verb", list(OPTIONS))
def test_one_that_is_not_there_is_told_like_a_bad_one(
    verb: str,
    photos: Path,
    tiny_files: TinyFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = save_gan(tmp_path / "gan.ckpt") if verb == "invert" else tiny_files.stage1
    out, gone = tmp_path / "out", str(photos / "gone.png")
    words = ["--checkpoint", checkpoint, "--out", str(out), *OPTIONS[verb], "--images", gone]
    assert main([verb, *words, str(photos / "a.png")]) == 2
    assert f"1 of 2 failed: {gone} is no readable image: it cannot" in capsys.readouterr().err
    assert {path.name[0] for path in out.iterdir()} == {"a"}


@pytest.mark.parametrize("verb", list(OPTIONS))
def test_if_none_is_there_nothing_is_begun(
    verb: str,
    photos: Path,
    tiny_files: TinyFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = [str(photos / name) for name in ("gone.png", "away.png")]
    checkpoint = save_gan(tmp_path / "gan.ckpt") if verb == "invert" else tiny_files.stage1
    words = ["--checkpoint", checkpoint, "--out", str(tmp_path / "out"), "--images", *gone]
    assert main([verb, *words, *OPTIONS[verb]]) == 2
    said = capsys.readouterr().err
    assert all(f"There is no file or folder {name}: check --images." in said for name in gone)
    assert not (tmp_path / "out").exists()


def test_an_edit_names_both_photographs(
    photos: Path, tiny_files: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [str(photos / "b.jpg"), str(photos / "gone.png")]
    words = ["--checkpoint", tiny_files.stage1, "--region", "0,0,1,0.5", "--action", "insert"]
    words += ["--image", bad[0], "--source", bad[1], "--out", str(tmp_path / "out")]
    assert main(["edit", *words]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in bad)
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


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
