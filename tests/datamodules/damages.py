"""Damages of a shard root: what each does, what the error says, and how many images it costs."""

import gzip
import os
import struct
import tarfile
import zlib
from pathlib import Path

from datamodules.build.writer import add_member

LABEL_4 = b'{"label": 4}'
DEEP, HUGE = b"[" * 100_000, b" " * (2**22 + 1)
_HEADER = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\r" + _HEADER + struct.pack(">I", zlib.crc32(_HEADER))


def rewrite(path: Path, change) -> None:
    """Write a tar again with its (name, content) list changed."""
    with tarfile.open(path) as tar:
        members = [(info.name, tar.extractfile(info).read()) for info in tar]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in change(members):
            add_member(tar, name, content)


def without(key):
    return lambda members: [m for m in members if not m[0].startswith(key)]


def spoiled(name, keep=30):
    return lambda members: [(n, c[:keep] if n == name else c) for n, c in members]


def swap_first_two(members):
    return [members[1], members[0], *members[2:]]


def replaced_by(make, name: str):
    def change(root: Path) -> None:
        (root / name).unlink()
        make(root / name)

    return change


def packed(root: Path) -> None:
    path = root / "train/rgb-000001.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))


def with_content(shard: str, name: str, content: bytes, sentence: str):
    """The damage of another content of a file, which costs its sample."""

    def change(members):
        return [(n, content if n == name else c) for n, c in members]

    told = rf"rgb-000004.tar, key k042: {sentence}"
    return lambda root: rewrite(root / f"train/{shard}.tar", change), told, 1


def truncate(path: Path) -> None:
    with tarfile.open(path) as tar:
        third = tar.getmembers()[4]
    with path.open("r+b") as file:
        file.truncate(third.offset_data + 10)


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"garbage!")


DAMAGES = {
    "missing sidecar shard": (
        lambda root: (root / "train/depth-000002.tar").unlink(),
        r"train/depth-000002.tar of .* cannot be read: No such file or directory\.$",
        7,
    ),
    "missing rgb shard": (
        lambda root: (root / "train/rgb-000001.tar").unlink(),
        r"train/rgb-000001.tar of .* cannot be read",
        3,
    ),
    "missing key": (
        lambda root: rewrite(root / "train/mask-000004.tar", without("k043")),
        r"train/mask-000004.tar holds 5 of 6 samples",
        1,
    ),
    "missing key with another in its place": (
        lambda root: rewrite(
            root / "train/mask-000004.tar",
            lambda members: [(n.replace("k043", "k999"), c) for n, c in members],
        ),
        r"train/mask-000004.tar has no sample for key k043",
        1,
    ),
    "swapped keys": (
        lambda root: rewrite(root / "train/depth-000000.tar", swap_first_two),
        r"train/depth-000000.tar has key k001 as sample 0 where train/rgb-000000.tar has key k000",
        0,
    ),
    "unreadable record": (
        lambda root: rewrite(root / "train/rgb-000004.tar", spoiled("k042.json", keep=5)),
        r"train/rgb-000004.tar, key k042: the json is unreadable",
        1,
    ),
    "undecodable image": (
        lambda root: rewrite(root / "train/rgb-000004.tar", spoiled("k042.png")),
        r"train/rgb-000004.tar, key k042: its image cannot be decoded",
        1,
    ),
    "undecodable depth": (
        lambda root: rewrite(root / "train/depth-000004.tar", spoiled("k042.depth.png")),
        r"train/rgb-000004.tar, key k042: its depth cannot be decoded",
        1,
    ),
    "truncated tar": (
        lambda root: truncate(root / "train/rgb-000002.tar"),
        r"train/rgb-000002.tar holds 2 of 7 samples: it is cut off after",
        5,
    ),
    "corrupt header": (
        lambda root: scribble(root / "train/mask-000002.tar"),
        r"train/mask-000002.tar holds 0 of 7 samples: the header at byte 0 is corrupt",
        7,
    ),
    "FIFO": (
        replaced_by(os.mkfifo, "train/rgb-000001.tar"),
        r"train/rgb-000001.tar of .* cannot be read: .* is a FIFO, not a file\.",
        3,
    ),
    "folder": (
        replaced_by(os.mkdir, "train/mask-000001.tar"),
        r"train/mask-000001.tar of .* cannot be read: .* is a folder, not a file\.",
        3,
    ),
    "compressed tar": (
        packed,
        r"train/rgb-000001.tar holds 0 of 3 samples: it is compressed by gzip: unpack it with "
        r"`gunzip` \(it has \d+ bytes, in the manifest 10240\)",
        3,
    ),
    "record that is a list": with_content(
        "rgb-000004",
        "k042.json",
        b"[1]",
        r"the json is unreadable, it is \[1\], expected an object",
    ),
    "label of no class": with_content(
        "rgb-000004",
        "k042.json",
        LABEL_4,
        "its label is 4, the manifest has 4 classes from 0 on",
    ),
    "record that is nested too deep": with_content(
        "rgb-000004", "k042.json", DEEP, "the json is unreadable, it is nested too deep"
    ),
    "record that is too large": with_content(
        "rgb-000004", "k042.json", HUGE, "a file of 4194305 bytes, at most 4194304 are read"
    ),
    "image that announces gigabytes": with_content(
        "rgb-000004",
        "k042.png",
        BOMB,
        r"its image cannot be decoded \(it announces 30000 x 30000",
    ),
    "mask of another size": with_content(
        "mask-000004",
        "k042.mask.png",
        BOMB,
        r"its mask cannot be decoded \(it announces 30000 x 30000",
    ),
}
