"""Several processes build into one folder, and some of them are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_samples import PLAN, planned_samples
from waiting import wait_for

from datamodules.build.driver import build_shards
from datamodules.errors import DataError
from datamodules.lock import building_alone

TESTS = Path(__file__).parents[1]
BUILD = """
import sys
from functools import partial
from pathlib import Path
from tiny_samples import PLAN, planned_samples_held
from datamodules.build.driver import build_shards

if __name__ == "__main__":
    make = partial(planned_samples_held, Path(sys.argv[2]))
    build_shards(sys.argv[1], PLAN, make, int(sys.argv[3]), ["a"], 4, {"seed": 0})
"""


def start(folder: Path, workers: int) -> subprocess.Popen:
    """A build into folder/out that waits in every shard for folder/go."""
    (folder / "build.py").write_text(BUILD)
    command = [sys.executable, "build.py", "out", str(folder / "go"), str(workers)]
    path = os.pathsep.join([str(TESTS), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def whole(tmp_path) -> dict[str, bytes]:
    build_shards(tmp_path / "whole", PLAN, planned_samples, 1, ["a"], 4, {"seed": 0})
    return contents(tmp_path / "whole")


def test_the_second_build_waits_and_finds_the_shards_of_the_first(tmp_path, whole):
    first = start(tmp_path, workers=1)
    wait_for(lambda: list(tmp_path.glob("*.pid")))
    second = start(tmp_path, workers=1)
    line = second.stderr.readline().decode()
    assert line == "out: another process is building here, waiting for it to finish.\n"
    (tmp_path / "go").touch()
    assert first.wait() == second.wait() == 0
    assert [path.stem for path in tmp_path.glob("*.pid")] == [str(first.pid)]
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_build_frees_the_folder_and_ends_its_workers(tmp_path, whole, workers):
    first = start(tmp_path, workers)
    # All tars of as many shards: a worker that is still starting would write after the kill.
    tars = workers * len(("rgb", "depth", "mask", "rays"))
    wait_for(lambda: len(list((tmp_path / "out/train").glob("*.partial"))) == tars)
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(pids) == workers
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids))
    assert list((tmp_path / "out/train").glob("*.partial"))
    build_shards(tmp_path / "out", PLAN, planned_samples, 1, ["a"], 4, {"seed": 0})
    assert contents(tmp_path / "out") == whole


def test_a_disk_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("datamodules.lock.fcntl.lockf", refuse)
    with (
        pytest.raises(DataError, match=r"cannot be locked .* \(Function not implemented\): write"),
        building_alone(tmp_path),
    ):
        pass
