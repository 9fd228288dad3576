"""Every file of every verb says what made it."""

import hashlib
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import TinyFiles

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.pictures import drawing
from renderers.mesh import NOTE_KEY

pytestmark = pytest.mark.slow

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


def test_origin_tells_of_the_others_where_files_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing.write_png(tmp_path / "good.png", torch.rand(3, 4, 4))
    (tmp_path / "bad.png").write_bytes(b"x")
    bad, missing, good = (str(tmp_path / name) for name in ("bad.png", "no.png", "good.png"))
    assert main(["origin", "--files", bad, missing, good]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{good}\n  does not say what made it\n"
    assert "2 of 3 failed: " in printed.err
    assert bad in printed.err
    assert f"There is no file {missing}" in printed.err


@pytest.mark.parametrize("suffix", ["png", "gif", "mp4", "npz", "ply", "obj", "glb"])
def test_files_of_others_do_not_say_and_broken_ones_are_named(suffix: str, tmp_path: Path) -> None:
    from renderers.mesh import extract_mesh, mesh_bytes

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
            surface = extract_mesh(np.random.default_rng(0).random((5, 5, 5)))
            path.write_bytes(mesh_bytes(surface, path.suffix))
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


def bomb_png(path: Path) -> None:
    """A PNG whose text unpacks to 60 MB."""
    packed = NOTE_KEY.encode() + b"\0\0" + zlib.compress(bytes(60_000_000))
    drawing.write_png(path, torch.rand(3, 8, 8))
    data = path.read_bytes()
    body = b"zTXt" + packed
    chunk = struct.pack(">I", len(packed)) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])


def bomb_gif(path: Path) -> None:
    """A GIF that begins with a comment of 15 MB."""
    data = drawing.gif_bytes([torch.rand(3, 8, 8)] * 2)
    path.write_bytes(data[:13] + b"!\xfe" + (b"\xff" + bytes(255)) * 60_000 + b"\0" + data[13:])


def bomb_npz(path: Path) -> None:
    """An .npz whose note unpacks to 60 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{NOTE_KEY}.npy", npy_header("<U15000000") + bytes(60_000_000))


def vast_npz(path: Path) -> None:
    """An .npz whose note is said to have 10**15 characters."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{NOTE_KEY}.npy", npy_header("<U4", "(1000000000000000,)"))


def npy_header(kind: str, shape: str = "()") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def bomb_glb(path: Path) -> None:
    """A .glb whose description is said to be of 4 GB."""
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 2**32 - 1, 2**32 - 1, b"JSON") + b"{}")


def deep_glb(path: Path) -> None:
    """A .glb whose description is a list in a list and so on."""
    text = b"[" * 200_000
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 0, len(text), b"JSON") + text)


@pytest.mark.parametrize("bomb", [bomb_png, bomb_gif, bomb_npz, vast_npz, bomb_glb, deep_glb])
def test_a_bomb_ends_in_a_sentence_and_takes_no_memory(
    bomb: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"bomb.{bomb.__name__[-3:]}"
    bomb(path)
    tracemalloc.start()
    code = main(["origin", "--files", str(path)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    told = capsys.readouterr()
    assert (code, told.err.count("\n")) == (2, 1) or "does not say what made it" in told.out


@pytest.mark.parametrize(
    "note", ["[]", "3", "[" * 100_000, '{"command": 1}', '{"seeds": [1]}', "{"]
)
def test_a_note_of_others_is_none(note: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **{NOTE_KEY: np.array(note)})
    assert read_provenance(tmp_path / "other.npz") is None
