"""Every file of every verb says what made it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import TinyFiles

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.pictures import drawing

SMALL = ["--size", "16", "--device", "cpu"]


@pytest.mark.parametrize(
    ("verb", "arguments", "files", "seeds"),
    [
        (
            "reconstruct",
            "--checkpoint {stage1} --images {first} --frames 2 --mesh_resolution 6 "
            "--mesh_level 0.2",
            {"first-sheet.png", "first-wiggle.mp4", "first.glb"},
            (),
        ),
        (
            "video",
            "--checkpoint {stage1} --images {first} {second} --frames 2 --formats mp4 gif",
            {f"{name}-wiggle.{s}" for name in ("first", "second") for s in ("mp4", "gif")},
            (),
        ),
        (
            "video",
            "--checkpoint {masked} --classes mug --seeds 4 --frames 2 --formats gif",
            {"mug-seed4-wiggle.gif"},
            (4,),
        ),
        (
            "mesh",
            "--checkpoint {autoregressive} --classes 1 --seeds 5 --resolution 6 --format ply",
            {"mug-seed5.ply"},
            (5,),
        ),
        (
            "mesh",
            "--checkpoint {stage1} --images {first} --resolution 6 --format obj",
            {"first.obj"},
            (),
        ),
        (
            "interpolate",
            "--checkpoint {stage1} --images {first} {second} --frames 2 --steps 2",
            {f"first-to-second{end}" for end in ("-sheet.png", ".mp4", ".gif")},
            (),
        ),
        (
            "edit",
            "--checkpoint {autoregressive} --image {first} --region 0,0,0.5,0.5 --seeds 1,2",
            {"first-resample.png", "first-resample.npz"},
            (1, 2),
        ),
        (
            "sample",
            "--checkpoint {masked} --classes mug --seeds 3,4 --views 2",
            {"samples.png", "disparity.png", "tokens.npz"},
            (3, 4),
        ),
    ],
)
def test_every_file_of_every_verb_says_what_made_it(
    verb: str,
    arguments: str,
    files: set[str],
    seeds: tuple[int, ...],
    tiny_files: TinyFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled = arguments.format(**vars(tiny_files)).split()
    command = [verb, *filled, "--out", str(tmp_path)]
    if verb != "mesh":
        command += SMALL
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/wild3d", *command])
    assert main(command) == 0
    (tmp_path / "views.png").unlink(missing_ok=True)  # has the first seed alone
    assert {path.name for path in tmp_path.iterdir()} == files
    for path in tmp_path.iterdir():
        found = read_provenance(path)
        assert found is not None
        assert found.command == "wild3d " + " ".join(command)
        assert found.checkpoint == filled[1]
        digest = hashlib.sha256(Path(filled[1]).read_bytes()).hexdigest()
        assert found.checkpoint_sha256 == digest
        assert found.seeds == seeds


def test_origin_prints_it(
    tiny_files: TinyFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/wild3d", "mesh"])
    command = ["mesh", "--checkpoint", tiny_files.stage1, "--images", tiny_files.first]
    assert main([*command, "--resolution", "6", "--out", str(tmp_path)]) == 0
    mesh = str(tmp_path / "first.glb")
    capsys.readouterr()
    assert main(["origin", "--files", mesh, tiny_files.first]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{mesh}\n  command     wild3d mesh\n")
    assert f"  checkpoint  {tiny_files.stage1}\n" in printed
    assert printed.endswith(f"{tiny_files.first}\n  does not say what made it\n")


@pytest.mark.parametrize("suffix", ["png", "gif", "mp4", "npz", "ply", "obj", "glb"])
def test_files_of_others_do_not_say_and_broken_ones_are_named(suffix: str, tmp_path: Path) -> None:
    from renderers.mesh import extract_mesh, save_mesh

    path, picture = tmp_path / f"other.{suffix}", torch.rand(3, 16, 16)
    match suffix:
        case "png":
            drawing.write_png(path, picture)
        case "gif":
            path.write_bytes(drawing.gif_bytes([picture, 1 - picture], note="not ours"))
        case "mp4":
            path.write_bytes(drawing.mp4_bytes([picture]))
        case "npz":
            np.savez(path, tokens=np.zeros(3))
        case _:
            save_mesh(extract_mesh(np.random.default_rng(0).random((5, 5, 5))), path)
    assert read_provenance(path) is None
    if suffix not in ("ply", "obj"):
        path.write_bytes(b"not what it seems")
        with pytest.raises(DataError, match=rf"other\.{suffix} can't be read as \.{suffix}"):
            read_provenance(path)


def test_other_kinds_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("wild3d")
    with pytest.raises(DataError, match=r"notes\.txt ends in \.txt: only \.png, \.gif"):
        read_provenance(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing\.png: check --files"):
        read_provenance(tmp_path / "nothing.png")
