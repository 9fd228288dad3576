"""Runs as a user starts them: in this process, in forked ones, or by the command itself.

Forked processes come from a server that has imported the command once, so each of them starts at
once and is a process all the same: with an environment, signals and locks of its own.
"""

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from waiting import wait_for

from lightning_modules.cli.main import main

SHORT = ["--model.max_images", "24"]
"""Options of a run that ends after 24 images."""

_HERE = str(Path(__file__).parent)
_PATH = os.pathsep.join([_HERE, os.environ.get("PYTHONPATH", "")])
ENVIRONMENT = os.environ | {"PYTHONPATH": _PATH}
"""So that processes find the modules beside this one, `run_probes` for example."""

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [f"lightning_modules.{name}" for name in ("cli.main", "stage1", "stage2", "gan")]
    + [f"datamodules.{name}_datamodule" for name in ("shard", "token")]
)


@dataclass(frozen=True)
class Forked:
    """A training in a forked process, and the file that its output goes to."""

    process: BaseProcess
    output: Path

    def wait(self) -> tuple[int | None, str]:
        """The exit code, minus the signal that ended it, and what it printed."""
        self.process.join()
        return self.process.exitcode, self.output.read_text()

    def end_at(self, file: Path, number: int) -> None:
        """Send it a signal once a file is there."""
        wait_for(lambda: file.exists() or not self.process.is_alive())
        assert self.process.is_alive(), self.output.read_text()
        os.kill(self.process.pid, number)


@dataclass(frozen=True)
class Runs:
    """Starts runs of one configuration, on a shard root unless the configuration names it."""

    config: Path
    root: Path | None = None

    def arguments(self, run: Path, *options: str) -> list[str]:
        data = [] if self.root is None else ["--data.root", str(self.root)]
        return ["fit", "--config", str(self.config), "--run", str(run), *data, *options]

    def fit(self, run: Path, *options: str) -> int:
        """Train in this process; returns the exit code."""
        return main(self.arguments(run, *options))

    def fork(self, run: Path, *options: str, environment: dict[str, str] | None = None) -> Forked:
        """Begin to train in a forked process, the leader of a group of processes."""
        descriptor, output = tempfile.mkstemp(".txt", f"{run.name}-", run.parent)
        os.close(descriptor)
        given = self.arguments(run, *options), environment or {}, output
        process = _SERVER.Process(target=_train, args=given)
        process.start()
        return Forked(process, Path(output))

    def fork_two(self, run: Path, *options: str) -> list[Forked]:
        """Begin to train in two forked processes that belong together."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        two = ["--trainer.devices", "2", *options]
        return [self.fork(run, *two, environment=_rank(rank, port)) for rank in (0, 1)]

    def fit_in_two(self, run: Path, *options: str) -> str:
        """Train in two forked processes to the end; returns what the first printed."""
        ends = [process.wait() for process in self.fork_two(run, *options)]
        for code, output in ends:
            assert code == 0, output
        return ends[0][1]

    def command(self, run: Path, *options: str) -> list[str]:
        """What a user types, to be started with `ENVIRONMENT`."""
        program = [sys.executable, "-m", "lightning_modules.cli"]
        return [*program, *self.arguments(run, *options)]

    def launch(self, run: Path, *options: str) -> str:
        """Train by the command itself to the end; returns what it prints."""
        return launched(self.command(run, *options))


def launched(command: Sequence[str]) -> str:
    """What a command prints that must end well."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def probe(name: str, settings: dict[str, object]) -> list[str]:
    """Options that add a callback of `run_probes` to a run."""
    options = [f"--trainer.callbacks+=run_probes.{name}"]
    return options + [f"--trainer.callbacks.{key}={value}" for key, value in settings.items()]


def last(run: Path) -> dict[str, Any]:
    """The last checkpoint of a run."""
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def contents(run: Path) -> dict[Path, bytes]:
    """The files of a run."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def _train(arguments: list[str], environment: dict[str, str], output: str) -> None:
    multiprocessing.set_start_method(None, force=True)  # as outside, not as this process started
    os.setsid()
    os.environ.update(environment)
    rank_zero_only.rank = int(environment.get("RANK", 0))  # as if Lightning were imported now
    sys.path.insert(0, _HERE)
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.exit(main(arguments))


def _rank(rank: int, port: int) -> dict[str, str]:
    """The environment in which torchrun starts one process of two."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    names |= {"GROUP_RANK": 0, "MASTER_PORT": port}
    here = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "tests"}
    return here | {name: str(value) for name, value in names.items()}
