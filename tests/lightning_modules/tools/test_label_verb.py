"""`wild3d label depth`, `mask` and `files` from the command line, alone and among processes."""

from pathlib import Path

import numpy as np
import pytest
from tiny_networks import depth_folder, salient_file
from tiny_shards import tiny_root

from datamodules.remote import read_manifest
from lightning_modules.cli.main import main


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return depth_folder("depth_anything", tmp_path_factory.mktemp("networks"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images alone."""
    tiny_root(tmp_path / "shards", sidecars=False)
    return tmp_path / "shards"


def among(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    """As torchrun starts a process."""
    known = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "GROUP_RANK": 0}
    known |= {"LOCAL_WORLD_SIZE": world, "MASTER_PORT": 1, "TORCHELASTIC_RUN_ID": 1}
    for name, value in known.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "localhost")


def test_depth_is_written_beside_images_by_one_process_and_by_two(
    network: str,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    words = ["label", "depth", "--network", network, "--root", str(root)]
    parts = [[*words, "--out", str(tmp_path / "parts")]] * 2
    for rank, part in enumerate(parts):
        with monkeypatch.context() as patch:
            among(patch, rank, 2)
            assert main(part) == 0
    said = capsys.readouterr().out
    assert "process 0 of 2 is through with its shards" in said
    assert f"depth of 29 images in {tmp_path}/parts" in said
    assert main(words) == 0
    assert contents(root) == contents(tmp_path / "parts")
    made = read_manifest(str(root)).sidecars["depth"]
    assert made["network"] == "transformers:depth_anything"
    assert (made["gives"], made["precision"], made["flip"]) == ("disparity", "float32", False)
    assert main(words) == 0  # finished
    assert main([*words, "--flip", "true"]) == 2
    assert "made otherwise (flip False, now True): name another root" in capsys.readouterr().err


def test_a_preview_writes_a_sheet_and_nothing_else(
    network: str, root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, sheet = contents(root), tmp_path / "sheet.png"
    words = ["--network", network, "--root", str(root), "--preview", "4", "--sheet", str(sheet)]
    assert main(["label", "depth", *words]) == 0
    assert sheet.is_file()
    assert contents(root) == before
    assert "leave --preview out to make the labels" in capsys.readouterr().out


def test_masks_of_an_onnx_network(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    salient_file(tmp_path / "net.onnx")
    text = "{file: net.onnx, side: 16, mean: [0, 0, 0], std: [1, 1, 1], threshold: 2}"
    (tmp_path / "net.yaml").write_text(text)
    words = ["label", "mask", "--network", str(tmp_path / "net.yaml"), "--root", str(root)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "29 labels unknown, see" in said
    assert "29 x it shows no object" in said
    assert read_manifest(str(root)).modalities == ("rgb", "mask")


def test_files_of_other_tools(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    for number in (0, 1, 2):
        np.save(tmp_path / "files" / f"k{number:03d}_depth.npy", np.eye(9, dtype=np.float16) + 1)
    words = ["--files", str(tmp_path / "files"), "--root", str(root), "--kind", "depth"]
    assert main(["label", "files", *words]) == 0
    said = capsys.readouterr().out
    assert "26 labels unknown" in said
    assert "26 x there is no file of its name" in said
    assert main(["label", "files", *words, "--codes", "255=object"]) == 2
    assert "--codes says what numbers of masks mean" in capsys.readouterr().err
    masks = [*words[:-1], "mask", "--codes", "255=thing"]
    assert main(["label", "files", *masks]) == 2
    assert "give a number, = and one of object, occluder" in capsys.readouterr().err


def test_a_kind_of_label_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label"]) == 2
    assert "did you mean label depth or label mask or label files?" in capsys.readouterr().err
