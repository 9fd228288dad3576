import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.lock import FolderLock

HOLDER = """
import multiprocessing, sys, time
from pathlib import Path
from datamodules.lock import FolderLock

def work():
    print(multiprocessing.current_process().pid, flush=True)
    time.sleep(600)

if __name__ == "__main__":
    lock = FolderLock(Path(sys.argv[1]))
    assert lock.take()
    if sys.argv[2] != "none":
        multiprocessing.get_context(sys.argv[2]).Process(target=work).start()
    else:
        print(0, flush=True)
    time.sleep(600)
"""


def hold(folder: Path, children: str = "none") -> tuple[subprocess.Popen, int]:
    """A process that has the lock of folder/run, and the id of its child, 0 if it has none."""
    script = folder / "holder.py"
    script.write_text(HOLDER)
    (folder / "run").mkdir()
    command = [sys.executable, str(script), str(folder / "run"), children]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    return holder, int(holder.stdout.readline())


def test_a_folder_is_locked_by_one_process_at_a_time(tmp_path: Path) -> None:
    holder, _ = hold(tmp_path)
    lock = FolderLock(tmp_path / "run")
    assert not lock.take()
    lock.release()  # of what it does not have
    assert not lock.take()
    holder.kill()
    holder.wait()
    assert lock.take()
    lock.release()
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_a_killed_process_do_not_keep_its_lock(tmp_path: Path, method: str) -> None:
    holder, child = hold(tmp_path, method)
    lock = FolderLock(tmp_path / "run")
    assert not lock.take()
    holder.kill()
    holder.wait()
    try:
        os.kill(child, 0)  # it lives on
        assert lock.take()
    finally:
        lock.release()
        os.kill(child, signal.SIGKILL)


def test_a_process_that_waits_gets_the_lock_when_its_file_is_removed(tmp_path: Path) -> None:
    holder, _ = hold(tmp_path)
    wait = "import sys; from pathlib import Path; from datamodules.lock import FolderLock\n"
    wait += "lock = FolderLock(Path(sys.argv[1])); print(lock.take(), flush=True)\n"
    wait += "print(lock.take(wait=True), lock.path.exists(), flush=True)"
    command = [sys.executable, "-c", wait, str(tmp_path / "run")]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert waiting.stdout.readline() == "False\n"
    (tmp_path / "run/.lock").unlink()
    holder.kill()
    assert waiting.communicate()[0] == "True True\n"
