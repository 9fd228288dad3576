"""Open the files of a shard root, local or remote, for reading at any offset."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile

from datamodules.errors import DataError, first_line
from datamodules.fetch import BRIEF, PATIENT, fetch, scheme_of
from datamodules.files import open_regular
from datamodules.manifest import MANIFEST_NAME, FileInfo, Manifest

MAX_MANIFEST_BYTES = 2**24
"""Bytes of a manifest, about 20,000 shards; JSON takes up to 25 times as much when it is parsed."""


def locate_file(root: str, relative: str) -> str:
    """Path or url of a file under a root; a ``{}`` in the root is where the file name goes."""
    if "{}" in root:
        return root.replace("{}", relative)
    return f"{root.rstrip('/')}/{relative}"


def is_local(root: str) -> bool:
    """Whether a root is a plain path rather than a url or a ``pipe:`` command."""
    return scheme_of(root) == ""


def read_manifest(root: str) -> Manifest:
    """Read the manifest of a root; DataError in one sentence when there is none."""
    source = locate_file(root, MANIFEST_NAME)
    content = io.BytesIO()
    try:
        if fetch(source, content, MAX_MANIFEST_BYTES, BRIEF) > MAX_MANIFEST_BYTES:
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
    try:
        with tempfile.TemporaryFile(prefix="wild3d-") as copy:
            arrived = fetch(source, copy, expected.bytes, PATIENT)
            if arrived > expected.bytes:
                raise DataError(
                    f"{source} has more than the {expected.bytes} bytes of the manifest."
                )
            copy.seek(0)
            if hashlib.file_digest(copy, "sha256").hexdigest() != expected.sha256.lower():
                raise DataError(
                    f"{source} arrived with {arrived} bytes that are not the {expected.bytes} "
                    "bytes of the manifest."
                )
            return os.dup(copy.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            f"there is no space for it in {tempfile.gettempdir()}: free some, or set TMPDIR"
        ) from error
