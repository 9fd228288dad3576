"""Ctrl-C where there is nothing to save."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from run_processes import Runs

from lightning_modules.cli import main as command
from lightning_modules.cli.main import main


def interrupt(*arguments: object, **options: object) -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("verb", ["fit", "validate"])
def test_ctrl_c_before_training_ends_in_a_line(
    verb: str,
    stage1_runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lightning_modules.stage1.Stage1.setup", interrupt, raising=False)
    monkeypatch.setattr("datamodules.stream_datamodule.read_manifest", interrupt)
    assert main([verb, *stage1_runs.arguments(tmp_path)[1:]]) == 130
    assert capsys.readouterr().err == f"wild3d {verb}: stopped by Ctrl-C.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_a_command_is_put_together_ends_in_a_line(
    stage1_runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("models.vq3d.VQ3D.__init__", interrupt)
    assert stage1_runs.fit(tmp_path) == 130
    assert capsys.readouterr().err == "wild3d fit: stopped by Ctrl-C.\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_a_tool_ends_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run_verb", interrupt)
    assert main(["sample", "--checkpoint", "x"]) == 130
    assert capsys.readouterr().err == "wild3d sample: stopped by Ctrl-C.\n"


def test_other_threads_can_run_a_command() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["origin", "--files", "nowhere"])))
    thread.start()
    thread.join()
    assert codes == [2]


def test_ctrl_c_while_packages_are_imported_ends_in_a_line(tmp_path: Path) -> None:
    program = (
        "import signal, lightning_modules.cli.__main__ as entry\n"
        "entry.import_module = lambda name: signal.raise_signal(signal.SIGINT)\n"
        "raise SystemExit(entry.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "wild3d: stopped by Ctrl-C.\n")
