"""Signals that end a training: the state is saved first, a second Ctrl-C does not wait for it."""

import os
import signal
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from lightning import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lightning_modules.training.base import TrainingModule

NAMES = {
    signal.SIGTERM: "SIGTERM",
    signal.SIGINT: "Ctrl-C (SIGINT)",
    signal.SIGHUP: "the end of its terminal (SIGHUP)",
}
"""Signals that ask a command to end, and what its last words call them."""


class Interrupted(SystemExit):
    """A signal that ends the command wherever it is, without a traceback; nothing is saved.

    said: how the command ends, for users.
    """

    def __init__(self, number: int, when: str = "") -> None:
        super().__init__(128 + number)
        self.said = " ".join(["stopped by", NAMES[signal.Signals(number)], when]).strip() + "."


@contextmanager
def interruptible(numbers: Iterable[int], when: str = "") -> Iterator[None]:
    """Raise Interrupted at signals in this block, unless they are ignored. Lightning makes another
    exit code of KeyboardInterrupt, and processes that are forked print it.

    when: what the command was doing, for users.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_terminal()
        raise Interrupted(number, when)

    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers if here}
    heard = [number for number in before if before[number] not in (None, signal.SIG_IGN)]
    try:
        for number in heard:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


class StopRequest:
    """What signals ask of this process: 0 or the number of the first that came."""

    def __init__(self) -> None:
        self.number = 0

    def listen(self) -> None:
        """Note signals from now on, but those that are ignored, as `nohup` has it."""
        self.number = 0
        if threading.current_thread() is not threading.main_thread():
            return
        for number in NAMES:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number and number == signal.SIGINT:
            raise Interrupted(number)
        self.number = self.number or number
        if number == signal.SIGHUP:
            _leave_terminal()
        elif number == signal.SIGINT and is_first_process():
            # Not printed: the signal may have come in the middle of another line.
            os.write(2, b"\nSaving after this batch; Ctrl-C again ends at once.\n")


def is_first_process() -> bool:
    """Whether this is the process that speaks for all, before a trainer could tell."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def _leave_terminal() -> None:
    """Write to nowhere what would go to a terminal, which is no more and refuses it."""
    for descriptor in (1, 2):
        with suppress(OSError):  # it is closed
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def asked_of_any(trainer: Trainer, asked: StopRequest) -> int:
    """The signal that came to any process, 0 for none; every process must call."""
    if not any_rank(trainer, asked.number != 0):
        return 0
    return next((int(number) for number in NAMES if any_rank(trainer, asked.number == number)), 0)


def any_rank(trainer: Trainer, decision: bool) -> bool:
    """Whether any process decides so; every process must call."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def stop(trainer: Trainer, module: TrainingModule, number: int) -> NoReturn:
    """End this process after a signal to any, once the state is saved.

    Raises:
        SIGTERMException: with the exit code.
    """
    if not trainer.is_global_zero:
        # A launcher kills rank 0, perhaps before it has closed its logs, when others end in error.
        raise SIGTERMException(0)
    name = NAMES[signal.Signals(number)]
    print(f"Stopped by {name} after {module.images_seen:,} images; the same command continues.")
    raise SIGTERMException(128 + number)


def end_others(trainer: Trainer) -> None:
    """Kill the processes that this one has launched: they would wait for it."""
    if isinstance(launcher := trainer.strategy.launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGKILL)
