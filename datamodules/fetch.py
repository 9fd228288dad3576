"""Copy a file from wherever it is: a disk, a web server, an object store, a command."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from subprocess import PIPE, Popen
from tempfile import TemporaryFile
from typing import IO, cast

from webdataset.gopen import gopen, gopen_schemes

from datamodules.errors import first_line
from datamodules.files import open_regular

PATIENT = (1, 2, 4, 8, 16, 30)
"""Seconds to wait before each further try for a file of a run: a minute, as long as a server takes
to start again."""
BRIEF = (1, 2)
"""The same for the first file of a root, whose address may be wrong."""
STALL_SECONDS = 30
"""Time in which a kilobyte a second must arrive."""

_BLOCK = 1 << 20
_CURL_SCHEMES = ("http", "https", "ftps", "sftp", "scp")
_CURL = (
    *("curl", "--fail", "--silent", "--location", "--max-redirs", "10", "--globoff"),
    *("--compressed", "--connect-timeout", "10", "--speed-limit", "1000"),
    *("--write-out", "%{stderr}%{http_code}"),
)
_REASONS = {  # by exit code of curl
    3: "it is neither a path nor a url",
    6: "there is no such host",
    7: "the host takes no connection",
    18: "it ended early",
    28: "the server does not answer",
    35: "no secure connection comes about",
    47: "it redirects without end",
    52: "the server sends nothing",
    56: "the connection broke",
    60: "the certificate of the server is not trusted",
}
_REFUSED = 22
_PASSING = (6, 7, 18, 28, 35, 52, 55, 56, 92)  # exit codes of curl that may be others next time
_PASSING_STATUS = ("408", "425", "429", "500", "502", "503", "504")

_log = logging.getLogger(__name__)


class _PassingError(OSError):
    """A fault that may be gone when it is tried again."""


def scheme_of(place: str) -> str:
    """What a url begins with, or "pipe" of a command; empty for a plain path."""
    if place.startswith("pipe:"):
        return "pipe"
    scheme, mark, _ = place.partition("://")
    return scheme.lower() if mark else ""


def fetch(source: str, target: IO[bytes], most: int, waits: Sequence[float]) -> int:
    """Copy a file, but no more than `most` bytes; return its bytes, more than `most` if it has.

    What a server or a connection fails at is tried again, each time with a warning; `waits` are the
    seconds before. Raises OSError with the reason when it cannot be read, and DataError for what is
    no file.
    """
    for wait in waits:
        try:
            return _copy(source, target, most)
        except _PassingError as error:
            _log.warning("%s; trying again in %g s.", error, wait)
            time.sleep(wait)
            target.seek(0)
            target.truncate()
    return _copy(source, target, most)


def _copy(source: str, target: IO[bytes], most: int) -> int:
    arrived = 0
    with closing(_blocks(source)) as blocks:
        for block in blocks:
            arrived += len(block)
            if arrived > most:
                break
            target.write(block)
    return arrived


def _blocks(source: str) -> Generator[bytes, None, None]:
    """A file in pieces; closing it ends what it comes from."""
    scheme = scheme_of(source)
    if scheme == "pipe":
        code = yield from _output(source.removeprefix("pipe:"))
        if code != 0:
            raise OSError(f"the command ended with exit code {code}")
    elif scheme in _CURL_SCHEMES:
        yield from _program((*_CURL, "--speed-time", str(STALL_SECONDS), source), source)
    elif scheme == "gs":  # which otherwise tries for ten minutes
        yield from _program(("gsutil", "-o", "Boto:num_retries=3", "cat", source), source)
    elif scheme in ("", "file"):
        with os.fdopen(open_regular(source.removeprefix("file://")), "rb") as file:
            yield from iter(lambda: file.read(_BLOCK), b"")
    else:
        yield from _stored(source)


def _output(
    command: str | Sequence[str], errors: IO[bytes] | None = None
) -> Generator[bytes, None, int]:
    """What a command of the shell, or a program with arguments, writes; then its exit code.

    errors  takes what it writes of errors
    """
    shell = isinstance(command, str)
    with Popen(command, shell=shell, stdout=PIPE, stderr=errors) as process:
        try:
            while process.stdout is not None and (block := process.stdout.read(_BLOCK)):
                yield block
            return process.wait()
        finally:
            process.kill()  # one that goes on although nobody reads it


def _program(arguments: Sequence[str], source: str) -> Iterator[bytes]:
    """What a program downloads; OSError with the url and the reason if it fails."""
    with TemporaryFile() as errors:
        try:
            code = yield from _output(arguments, errors)
        except FileNotFoundError as error:
            raise OSError(f"{source} needs {arguments[0]}, which is not installed") from error
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    if code == 0:
        return
    if arguments[0] != "curl":
        raise OSError(f"{source}: {said or f'exit code {code}'}")
    reason = _REASONS.get(code, f"curl ended with exit code {code}")
    if code == _REFUSED:
        reason = f"the server answers {said}"
    passing = code in _PASSING or (code == _REFUSED and said in _PASSING_STATUS)
    raise (_PassingError if passing else OSError)(f"{source}: {reason}")


def _stored(source: str) -> Iterator[bytes]:
    """What any other store holds, by webdataset where it knows the scheme, else by fsspec; OSError
    for all that they may raise."""
    try:
        with _opened(source) as file:
            yield from iter(lambda: file.read(_BLOCK), b"")
    except Exception as error:  # stores have exceptions of their own, or lack their package
        raise OSError(first_line(error)) from error


def _opened(source: str) -> IO[bytes]:
    if scheme_of(source) in gopen_schemes:
        return cast(IO[bytes], gopen(source))
    import fsspec

    return cast(IO[bytes], fsspec.open(source, "rb").open())
