"""Provenance, stored in every file: command, checkpoint, seeds and revision."""

import hashlib
import io
import json
import shlex
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import imageio.v3 as iio
from PIL import Image, UnidentifiedImageError

from datamodules.errors import DataError
from datamodules.files import load_arrays
from lightning_modules.inference.loading import read_checkpoint
from renderers.mesh import NOTE_KEY

GLB_HEADER = struct.Struct("<4sIII4s")
"""Magic, version and length of the file; length and type of its first chunk, which is JSON."""


@dataclass(frozen=True)
class Provenance:
    """Origin of a file.

    command: program and arguments; checkpoint: path as the user gave it; checkpoint_sha256: of that
    file, in hex; seeds: of the scenes in the file, none where nothing was drawn; git: revision of
    the source tree, None where it is none.
    """

    command: str
    checkpoint: str
    checkpoint_sha256: str
    seeds: tuple[int, ...] = ()
    git: str | None = None

    def note(self, *seeds: int) -> str:
        """One line of JSON in ASCII, which every format can store, for a file of these seeds."""
        return json.dumps(asdict(replace(self, seeds=seeds)))

    @staticmethod
    def of_note(note: str) -> "Provenance":
        """The provenance that `note` wrote.

        Raises:
            ValueError, TypeError: the text is none.
        """
        fields = json.loads(note)
        return Provenance(**fields | {"seeds": tuple(fields["seeds"])})


def made_now(checkpoint: str) -> Provenance:
    """The command of this process, working on a checkpoint, which is read to hash it."""
    with Path(checkpoint).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return Provenance(command, checkpoint, digest, (), git_revision(Path(__file__).parents[2]))


def git_revision(root: Path) -> str | None:
    """Commit of the working tree `root`, `-dirty` with local changes; None if it is none."""
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]  # no tag names
    try:
        # An installed copy may lie inside a repository that is not ours.
        top = _git(root, "rev-parse", "--show-toplevel")
        return _git(root, *describe) if Path(top) == root.resolve() else None
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def read_provenance(path: str | Path) -> Provenance | None:
    """Provenance of a .png, .gif, .mp4, .glb, .ply, .obj, .npz or the .ckpt of an inversion; None
    if it does not say.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is of another kind, or can't be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: check --files.")
    try:
        note = _read_note(path)
    except (UnidentifiedImageError, OSError, ValueError, KeyError, struct.error) as error:
        raise DataError(f"{path} can't be read as {path.suffix} ({error}).") from error
    try:
        return None if note is None else Provenance.of_note(note)
    except (ValueError, TypeError, KeyError):
        return None  # a comment of others that happens to begin like ours


def _read_note(path: Path) -> str | None:
    match path.suffix.lower():
        case ".png":
            with Image.open(path) as image:
                return image.info.get(NOTE_KEY)
        case ".gif":
            with Image.open(path) as image:
                return _after_key(image.info.get("comment", b"").decode("latin-1"))
        case ".mp4":
            return _after_key(iio.immeta(path, plugin="pyav").get("comment", ""))
        case ".glb":
            return _glb_note(path.read_bytes())
        case ".ply" | ".obj":
            return _header_note(path.read_bytes())
        case ".npz":
            found = load_arrays(path, "--files").get(NOTE_KEY)
            return None if found is None else str(found)
        case ".ckpt":
            return read_checkpoint(path, "checkpoint").get(NOTE_KEY)
        case other:
            raise DataError(
                f"{path} ends in {other or 'nothing'}: only .png, .gif, .mp4, .glb, .ply, .obj, "
                ".npz and .ckpt say what made them."
            )


def _after_key(comment: str) -> str | None:
    found = comment.startswith(f"{NOTE_KEY} ")
    return comment.removeprefix(f"{NOTE_KEY} ") if found else None


def _glb_note(data: bytes) -> str | None:
    magic, _, _, length, kind = GLB_HEADER.unpack_from(data)
    if (magic, kind) != (b"glTF", b"JSON"):
        raise ValueError("it does not begin like one")
    tree = json.loads(data[GLB_HEADER.size : GLB_HEADER.size + length])
    note = tree["asset"].get("extras", {}).get(NOTE_KEY)
    return note if isinstance(note, str) else None


def _header_note(data: bytes) -> str | None:
    """The note in the comments at the beginning of a PLY or OBJ file."""
    for line in io.BytesIO(data):
        text = line.decode("latin-1").strip()
        if text.startswith(("v ", "end_header")):
            return None
        for mark in ("comment ", "# "):
            if text.startswith(mark + NOTE_KEY):
                return _after_key(text.removeprefix(mark))
    return None
