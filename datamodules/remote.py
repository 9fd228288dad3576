"""Open the files of a shard root, local or remote, for reading at any offset."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
from typing import IO, cast
from urllib.parse import urlparse

from webdataset.gopen import gopen, gopen_schemes

from datamodules.errors import DataError, first_line
from datamodules.files import open_regular
from datamodules.manifest import MANIFEST_NAME, FileInfo, Manifest

MAX_MANIFEST_BYTES = 2**26

_BLOCK = 1 << 20
_CURL_REASONS = {
    3: "the url is malformed",
    6: "there is no such host",
    7: "the host takes no connection",
    22: "the server refuses it or has no such file",
    28: "the server does not answer",
}


def locate_file(root: str, relative: str) -> str:
    """Path or url of a file under a root; a ``{}`` in the root is where the file name goes."""
    if "{}" in root:
        return root.replace("{}", relative)
    return f"{root.rstrip('/')}/{relative}"


def is_local(root: str) -> bool:
    """Whether a root is a plain path rather than a url or a ``pipe:`` command."""
    return _scheme(root) == ""


def read_manifest(root: str) -> Manifest:
    """Read the manifest of a root; DataError in one sentence when there is none."""
    source = locate_file(root, MANIFEST_NAME)
    content = io.BytesIO()
    try:
        if _fetch(source, content, MAX_MANIFEST_BYTES) > MAX_MANIFEST_BYTES:
            raise DataError(
                f"{source} is larger than the {MAX_MANIFEST_BYTES >> 20} MiB that a manifest may "
                "have: put more images into each shard."
            )
        text = content.getvalue().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{root} is not a shard root, {MANIFEST_NAME} cannot be read ({first_line(error)}): "
            "write shards there with `wild3d shards`, or correct `root`."
        ) from error
    return Manifest.from_json(text, source)


def open_shard_file(root: str, relative: str, expected: FileInfo) -> int:
    """File descriptor of one tar of a root, the caller closes it.

    A remote tar is first copied to a nameless temporary file, which vanishes when it is closed,
    and its checksum is compared with the manifest. Raises OSError when it cannot be read and
    DataError when a copy is not the file the manifest describes; no more of it is copied then than
    the manifest says.
    """
    source = locate_file(root, relative)
    if is_local(root):
        return open_regular(source)
    with tempfile.TemporaryFile(prefix="wild3d-") as copy:
        arrived = _fetch(source, copy, expected.bytes)
        if arrived > expected.bytes:
            raise DataError(f"{source} has more than the {expected.bytes} bytes of the manifest.")
        copy.seek(0)
        if hashlib.file_digest(copy, "sha256").hexdigest() != expected.sha256.lower():
            raise DataError(
                f"{source} arrived with {arrived} bytes that are not the {expected.bytes} bytes of "
                "the manifest."
            )
        return os.dup(copy.fileno())


def _fetch(source: str, target: IO[bytes], most: int) -> int:
    """Copy a file, but no more than `most` bytes; return its bytes, `most` + 1 if it has more.

    Raises OSError when it cannot be read, and DataError for what is no file.
    """
    arrived = 0
    try:
        with _stream(source) as file:
            while block := file.read(min(_BLOCK, most + 1 - arrived)):
                arrived += len(block)
                if arrived > most:
                    _end_command(file)
                    break
                target.write(block)
    except (OSError, DataError) as error:
        if arrived > most:  # what fails is the command that was ended
            return arrived
        reason = _exit_reason(error, source)
        if reason is None:
            raise
        raise OSError(reason) from error
    except Exception as error:  # stores have exceptions of their own, or lack their package
        raise OSError(first_line(error)) from error
    return arrived


def _stream(source: str) -> IO[bytes]:
    scheme = _scheme(source)
    if scheme in ("", "file"):
        return os.fdopen(open_regular(source.removeprefix("file://")), "rb")
    if scheme in gopen_schemes:
        return cast(IO[bytes], gopen(source))
    import fsspec

    return cast(IO[bytes], fsspec.open(source, "rb").open())


def _scheme(root: str) -> str:
    try:
        return urlparse(root).scheme
    except ValueError as error:  # brackets that are no address
        raise DataError(f"{root!r} is neither a path nor a url: {error}.") from error


def _end_command(file: IO[bytes]) -> None:
    """End the process that writes to a stream of `gopen`, which closing it would wait for."""
    process = getattr(file, "proc", None)
    if process is not None:
        process.kill()


def _exit_reason(error: OSError | DataError, source: str) -> str | None:
    """Why a command or download failed, by its exit code; None of other errors."""
    found = re.search(r": exit (-?\d+) \(read\)", str(error))
    if found is None:
        return None
    if source.startswith("pipe:"):
        return f"the command ended with exit code {found[1]}"
    return f"{source}: {_CURL_REASONS.get(int(found[1]), f'exit code {found[1]}')}"
