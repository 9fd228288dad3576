"""Files of web servers that fail in every way servers fail, and of commands."""

import gzip
import io
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_shards import SIDE, reference_keys

from datamodules import fetch as fetching
from datamodules import remote
from datamodules.errors import DataError
from datamodules.fetch import fetch
from datamodules.shard_datamodule import ShardDataModule

CONTENT = bytes(range(256)) * 1000
MANY = 10**9

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="http is read by curl")


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path; the first `failures` requests fail alike."""

    failures = 0
    asked = 0
    root: Path

    def do_GET(self) -> None:
        kind, _, name = self.path[1:].partition("/")
        Handler.asked += 1
        if Handler.asked > Handler.failures:
            kind = "whole"
        content = (self.root / name).read_bytes() if name else CONTENT
        if kind.isdecimal():
            self.send_error(int(kind))
        elif kind == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif kind == "gzip":
            self.answer(gzip.compress(content), {"Content-Encoding": "gzip"})
        elif kind == "short":
            self.answer(content[:5000], {"Content-Length": str(len(content))})
        elif kind == "stall":
            self.answer(content[:10], {"Content-Length": str(len(content))}, 20)
        elif kind == "endless":
            self.answer(20 * content, {"Content-Length": str(2**40)}, 20)
        elif kind == "nothing":
            self.close_connection = True
        else:
            self.answer(content, {"Content-Length": str(len(content))})

    def answer(self, content: bytes, headers: dict[str, str], silent: float = 0) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        end = time.monotonic() + silent
        while time.monotonic() < end and not self.server.ended.is_set():
            time.sleep(0.05)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(root: Path) -> Iterator[str]:
    """Address of a server of the root whose every request fails as the address says."""
    Handler.root, Handler.asked, Handler.failures = root, 0, MANY
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.ended = threading.Event()
    thread = threading.Thread(target=served.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.ended.set()
    served.shutdown()
    thread.join()
    served.server_close()


def fetched(source: str, most: int = MANY, waits: tuple[float, ...] = ()) -> bytes:
    target = io.BytesIO()
    fetch(source, target, most, waits)
    return target.getvalue()


@needs_curl
@pytest.mark.parametrize("kind", ["whole", "gzip"])
def test_a_file_is_what_the_server_has_packed_on_the_way_or_not(server: str, kind: str) -> None:
    assert fetched(f"{server}/{kind}/") == CONTENT


@needs_curl
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("404", "the server answers 404"),
        ("403", "the server answers 403"),
        ("loop", "it redirects without end"),
    ],
)
def test_what_stays_wrong_is_told_with_its_url_and_not_tried_again(
    server: str, kind: str, reason: str
) -> None:
    with pytest.raises(OSError, match=rf"^{server}/{kind}/: {reason}$"):
        fetched(f"{server}/{kind}/", waits=(9, 9))
    assert Handler.asked == (11 if kind == "loop" else 1)


@needs_curl
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("500", "the server answers 500"),
        ("503", "the server answers 503"),
        ("429", "the server answers 429"),
        ("short", "it ended early"),
        ("nothing", "the server sends nothing"),
        ("stall", "the server does not answer"),
    ],
)
def test_what_may_pass_is_tried_again_with_a_warning(
    server: str,
    kind: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "STALL_SECONDS", 1)
    Handler.failures = 1
    assert fetched(f"{server}/{kind}/", waits=(0,)) == CONTENT
    assert caplog.messages == [f"{server}/{kind}/: {reason}; trying again in 0 s."]
    Handler.asked, Handler.failures = 0, MANY
    with pytest.raises(OSError, match=reason):
        fetched(f"{server}/{kind}/", waits=(0,))
    assert Handler.asked == 2


@needs_curl
def test_a_host_that_is_not_there_is_tried_as_often_as_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(OSError, match=r"^https://nowhere\.invalid/x: there is no such host$"):
        fetched("https://nowhere.invalid/x", waits=(0, 0))
    assert len(caplog.messages) == 2
    assert sum(remote.BRIEF) < 5


@needs_curl
def test_no_more_arrives_than_wanted_of_a_file_without_end(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "STALL_SECONDS", 1)
    target = io.BytesIO()
    assert fetch(f"{server}/endless/", target, 10_000, ()) > 10_000
    assert len(target.getvalue()) <= 10_000


@needs_curl
def test_training_reads_over_a_server_that_fails_now_and_then(
    server: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BRIEF", (0, 0))
    monkeypatch.setattr(remote, "PATIENT", (0, 0))
    Handler.failures = 2
    run = ShardDataModule(f"{server}/500", SIDE, 4, num_workers=0, lanes=4)
    run.setup()
    Handler.failures = 4
    keys = [key for batch in run.train_dataloader() for key in batch.keys]
    assert keys == reference_keys(20)
    assert len(caplog.messages) == 3


@needs_curl
def test_a_shard_that_is_not_there_is_named_with_url_and_reason(server: str) -> None:
    Handler.failures = 0
    run = ShardDataModule(f"{server}/404", SIDE, 4, num_workers=0, lanes=4)
    run.setup()
    Handler.failures = MANY
    with pytest.raises(
        DataError, match=r"cannot be read: http://\S+\.tar: the server answers 404\.$"
    ):
        next(iter(run.train_dataloader()))


def test_a_program_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for source, program in (("http://127.0.0.1:1/x", "curl"), ("gs://bucket/x", "gsutil")):
        with pytest.raises(OSError, match=f"^{source} needs {program}, which is not installed$"):
            fetched(source)


def test_what_another_program_says_last_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "gsutil"
    program.write_text("#!/bin/sh\necho Traceback >&2\necho 'no such bucket' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(OSError, match=r"^gs://bucket/x: no such bucket$"):
        fetched("gs://bucket/x")


def test_a_full_disk_is_told_as_such_and_names_its_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ShardDataModule(f"file://{root}", SIDE, 4, num_workers=0)
    run.setup()

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remote, "fetch", full)
    with pytest.raises(DataError, match=r"there is no space for it in \S+: free some, or set TMPD"):
        next(iter(run.train_dataloader()))


def test_a_folder_with_a_colon_is_a_folder(root: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "run:2").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    assert remote.read_manifest("run:2").samples("train") == 22


def test_a_command_is_ended_where_more_arrives_than_wanted() -> None:
    start = time.monotonic()
    assert len(fetched("pipe:yes; sleep 60", most=10)) <= 10
    assert time.monotonic() - start < 10
