"""Signals where there is nothing to save."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from run_processes import Runs, last

from lightning_modules.cli import main as command
from lightning_modules.cli.main import main

pytestmark = pytest.mark.slow

SIGNALS = [
    (signal.SIGINT, "Ctrl-C (SIGINT)"),
    (signal.SIGTERM, "SIGTERM"),
    (signal.SIGHUP, "the end of its terminal (SIGHUP)"),
]
BEFORE = " before training began, nothing to save"


def sending(number: int) -> Callable[..., None]:
    """A function that sends this process a signal, whatever it is called with."""

    def send(*arguments: object, **options: object) -> None:
        signal.raise_signal(number)

    return send


interrupt = sending(signal.SIGINT)


@pytest.mark.parametrize(("number", "name"), SIGNALS)
@pytest.mark.parametrize(("verb", "when"), [("fit", BEFORE), ("validate", "")])
def test_a_signal_before_training_ends_in_a_line(
    verb: str,
    when: str,
    number: int,
    name: str,
    stage1_runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr("datamodules.stream_datamodule.read_manifest", sending(number))
    run = tmp_path / "run"
    assert main([verb, *stage1_runs.arguments(run)[1:]]) == 128 + number
    assert capsys.readouterr().err.endswith(f"wild3d {verb}: stopped by {name}{when}.\n")
    assert signal.getsignal(number) is before
    assert not run.exists()


def test_a_signal_while_a_command_is_put_together_ends_in_a_line(
    stage1_runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("models.vq3d.VQ3D.__init__", sending(signal.SIGTERM))
    assert stage1_runs.fit(tmp_path / "run") == 143
    assert capsys.readouterr().err == f"wild3d fit: stopped by SIGTERM{BEFORE}.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signal_in_the_last_validation_says_that_the_training_is_saved(
    stage1_runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lightning.Trainer.validate", sending(signal.SIGHUP))
    assert stage1_runs.fit(tmp_path, "--model.max_images", "12") == 129
    said = "stopped by the end of its terminal (SIGHUP) after the training, which is saved."
    assert said in capsys.readouterr().err
    assert last(tmp_path)["images_seen"] == 12


def test_ctrl_c_in_a_tool_ends_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run_verb", interrupt)
    assert main(["sample", "--checkpoint", "x"]) == 130
    assert capsys.readouterr().err == "wild3d sample: stopped by Ctrl-C (SIGINT).\n"


def test_other_threads_can_run_a_command() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["origin", "--files", "nowhere"])))
    thread.start()
    thread.join()
    assert codes == [2]


@pytest.mark.parametrize(("name", "told"), [("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM")])
def test_a_signal_while_packages_are_imported_ends_in_a_line(name: str, told: str) -> None:
    program = (
        "import signal, lightning_modules.cli.__main__ as entry\n"
        f"entry.import_module = lambda name: signal.raise_signal(signal.{name})\n"
        "raise SystemExit(entry.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    code = 128 + getattr(signal, name)
    assert (done.returncode, done.stderr) == (code, f"wild3d: stopped by {told}.\n")
