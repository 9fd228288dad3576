"""Provenance, stored in every file: command, checkpoint, seeds and revision."""

import hashlib
import io
import json
import shlex
import struct
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

from datamodules.errors import DataError
from lightning_modules.inference.checkpoint_file import read_checkpoint
from models.stored import as_type
from renderers.mesh import NOTE_KEY

HEAD = 1 << 20
"""Bytes at the beginning of a file that a note is looked for in, however large the file is."""

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

    def of_results(self) -> dict[str, Any]:
        """Plain values for a file of results, which tells the seeds itself."""
        return {name: value for name, value in asdict(self).items() if name != "seeds"}

    @staticmethod
    def of_note(note: str) -> "Provenance":
        """The provenance that `note` wrote.

        Raises:
            ValueError: the text is none.
        """
        try:
            made: Provenance = as_type(json.loads(note), Provenance, "note")
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        return made


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
    except DataError:
        raise
    except Exception as error:  # whatever a reader of pictures or films makes of such bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} can't be read as {path.suffix} ({reason}).") from error
    try:
        return None if note is None else Provenance.of_note(note)
    except ValueError:
        return None  # a comment of others that happens to begin like ours


def _read_note(path: Path) -> str | None:
    kind = path.suffix.lower()
    if kind == ".ckpt":
        note = read_checkpoint(path).content.get(NOTE_KEY)
        return note if isinstance(note, str) else None
    if kind == ".mp4":
        return _after_key(iio.immeta(path, plugin="pyav").get("comment", ""))
    if kind == ".npz":
        return _npz_note(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
    match kind:
        case ".png":
            with Image.open(io.BytesIO(head), formats=["PNG"]) as image:
                note = image.info.get(NOTE_KEY)
                return note if isinstance(note, str) else None
        case ".gif":
            with Image.open(io.BytesIO(head), formats=["GIF"]) as image:
                return _after_key(image.info.get("comment", b"").decode("latin-1"))
        case ".glb":
            return _glb_note(head)
        case ".ply" | ".obj":
            return _header_note(head)
    raise DataError(
        f"{path} ends in {path.suffix or 'nothing'}: only .png, .gif, .mp4, .glb, .ply, .obj, "
        ".npz and .ckpt say what made them."
    )


def _npz_note(path: Path) -> str | None:
    """The note among the arrays of an .npz, of which nothing else is read."""
    with zipfile.ZipFile(path) as archive:
        name = f"{NOTE_KEY}.npy"
        if name not in archive.namelist():
            return None
        with archive.open(name) as member:
            note = io.BytesIO(member.read(HEAD))
    version = np.lib.format.read_magic(note)
    shape, _, dtype = np.lib.format.read_array_header_1_0(note)
    text = note.read()
    # NumPy would take the memory that the header asks for before it reads.
    if version != (1, 0) or shape != () or dtype.kind != "U" or dtype.itemsize > len(text):
        raise ValueError("its note is no text, or longer than notes are looked for")
    return str(np.frombuffer(text, dtype, count=1)[0])


def _after_key(comment: str) -> str | None:
    found = comment.startswith(f"{NOTE_KEY} ")
    return comment.removeprefix(f"{NOTE_KEY} ") if found else None


def _glb_note(data: bytes) -> str | None:
    magic, _, _, length, kind = GLB_HEADER.unpack_from(data)
    if (magic, kind) != (b"glTF", b"JSON"):
        raise ValueError("it does not begin like one")
    if GLB_HEADER.size + length > len(data):
        raise ValueError("its description is cut short, or longer than notes are looked for")
    try:
        tree = json.loads(data[GLB_HEADER.size : GLB_HEADER.size + length])
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
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
