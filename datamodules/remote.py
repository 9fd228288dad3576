"""Open the files of a shard root, local or remote, for reading at any offset."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from typing import IO, cast
from urllib.parse import urlparse

from webdataset.gopen import gopen, gopen_schemes

from datamodules.errors import DataError
from datamodules.manifest import MANIFEST_NAME, FileInfo, Manifest


def locate_file(root: str, relative: str) -> str:
    """Path or url of a file under a root; a ``{}`` in the root is where the file name goes."""
    if "{}" in root:
        return root.replace("{}", relative)
    return f"{root.rstrip('/')}/{relative}"


def is_local(root: str) -> bool:
    """Whether a root is a plain path rather than a url or a ``pipe:`` command."""
    return urlparse(root).scheme == ""


def read_manifest(root: str) -> Manifest:
    """Read the manifest of a root; DataError in one sentence when there is none."""
    source = locate_file(root, MANIFEST_NAME)
    try:
        with _stream(source) as file:
            text = file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{root} is not a shard root, {MANIFEST_NAME} cannot be read ({_first_line(error)}): "
            "write shards there with `wild3d shards`, or correct `root`."
        ) from error
    return Manifest.from_json(text, source)


def open_shard_file(root: str, relative: str, expected: FileInfo) -> int:
    """File descriptor of one tar of a root, the caller closes it.

    A remote tar is first copied to a nameless temporary file, which vanishes when it is closed,
    and its checksum is compared with the manifest. Raises OSError when it cannot be read and
    DataError when a copy is not the file the manifest describes.
    """
    if is_local(root):
        return os.open(locate_file(root, relative), os.O_RDONLY)
    source = locate_file(root, relative)
    with tempfile.TemporaryFile(prefix="wild3d-") as copy:
        with _stream(source) as file:
            shutil.copyfileobj(file, copy, 1 << 20)
        copy.seek(0)
        if hashlib.file_digest(copy, "sha256").hexdigest() != expected.sha256:
            raise DataError(
                f"{source} arrived with {os.fstat(copy.fileno()).st_size} bytes that are not the "
                f"{expected.bytes} bytes of the manifest."
            )
        return os.dup(copy.fileno())


def _stream(source: str) -> IO[bytes]:
    if is_local(source):
        return open(source, "rb")
    if urlparse(source).scheme in gopen_schemes:
        return cast(IO[bytes], gopen(source))
    import fsspec

    return cast(IO[bytes], fsspec.open(source, "rb").open())


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
