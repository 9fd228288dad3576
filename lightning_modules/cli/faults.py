"""What ends a command in one sentence, and the sentence: faults of the data, the settings and the
system. All else is a fault of ours and keeps its traceback."""

import builtins
import errno
import os
import re
import signal
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.multiprocessing.spawn import ProcessException

from datamodules.errors import DataError
from lightning_modules.callbacks.stopping import Interrupted, interruptible, is_first_process

ADVICE = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EROFS: "name another place",
    errno.EACCES: "name another place, or have its permissions changed",
    errno.EPERM: "name another place, or have its permissions changed",
    errno.EFBIG: "raise the limit with `ulimit -f`, or name another place",
    errno.EMFILE: "raise the limit with `ulimit -n`, or take fewer workers",
    errno.ENFILE: "end other programs, or take fewer workers",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ESTALE: "see that the network disk is there and run the same command again",
    errno.EIO: "the disk or the network is failing, see the system's log",
}

MEMORY = "there is not enough memory: take smaller pictures, batches or fewer workers."

# PyTorch tells faults of the system by RuntimeErrors: a pattern each, and what it means to users.
TORCH_FAULTS = (
    (r"File (?P<reason>.+) cannot be opened", "{reason} can't be opened as a file."),
    (r"invalid file name: (?P<reason>.+)", "{reason} is no name of a checkpoint."),
    (r"strerror: (?P<reason>.+)", "a checkpoint can't be opened ({reason})."),
    (r"Parent directory (?P<reason>\S+) does not exist", "there is no folder {reason}."),
    (
        r"PytorchStreamWriter failed|inline_container.*unexpected pos",
        "a checkpoint can't be written to its end: free some space on its disk and run the same "
        "command again.",
    ),
    (
        r"unable to (open|mmap|write|resize|allocate).*(?P<reason>shared memory)|"
        r"(?P<other>Too many open files)",
        "workers can't pass on what they load ({reason}): take fewer workers, or raise the limits "
        "of shared memory and open files (`ulimit -n`).",
    ),
    (r"(?P<reason>No space left on device)", "the disk is full: free some space."),
)
TORCH_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|Cannot allocate memory"
)
TORCH_WORKER = re.compile(r"DataLoader worker .*(exited unexpectedly|killed by signal)")

WORKER_ENDED = (
    "a worker process ended suddenly, often because memory ran out: take fewer workers and run the "
    "same command again."
)
IN_CHILD = re.compile(r"^(?:\w+\.)*(?P<kind>\w+): (?P<sentence>.+)$", re.MULTILINE)
"""Last lines of tracebacks that other processes send as text."""


def exit_code(work: Callable[[], None], verb: str) -> int:
    """Do the work of a verb: bad input ends in one sentence and code 2, a signal in one line and
    code 128 + its number, a closed pipe, as of `wild3d compare | head`, without a word and in code
    141."""
    try:
        with interruptible([signal.SIGINT]):
            work()
        sys.stdout.flush()
    except Interrupted as ended:
        if is_first_process():
            print(f"wild3d {verb}: {ended.said}", file=sys.stderr)
        return int(str(ended.code))
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):  # which rich turns into that
            raise
        return _closed_pipe()
    except BrokenPipeError:
        return _closed_pipe()
    except Exception as error:
        if (sentence := fault_sentence(error)) is None:
            raise
        print(f"{f'wild3d {verb}'.strip()}: {sentence}", file=sys.stderr)
        if isinstance(error, OSError):
            _drop_output()
        return 2
    return 0


def _closed_pipe() -> int:
    _drop_output()
    return 128 + signal.SIGPIPE


def _drop_output() -> None:
    """Where standard output takes no more, keep Python from trying again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):  # it has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fault_sentence(error: BaseException) -> str | None:
    """What users are told of an exception; None if it is a fault of ours."""
    match error:
        case DataError():
            return _of_child(str(error)) or one_line(str(error))
        case FloatingPointError():  # a training has diverged; the notes say what is left of it
            return one_line(" ".join([str(error), *getattr(error, "__notes__", [])]))
        case OSError():
            return os_sentence(error)
        case MemoryError() | torch.OutOfMemoryError():
            return MEMORY
        case BrokenProcessPool():
            return WORKER_ENDED
        case MisconfigurationException():
            return one_line(str(error))
        case ProcessException():
            return _of_child(str(error))
        case RuntimeError():
            return _of_torch(one_line(str(error)))
    return None


def os_sentence(error: OSError) -> str:
    """Path, reason and a way out of an error of the system."""
    if error.errno is None:  # raised by a library, or by us with a sentence
        return one_line(str(error))
    reason = (error.strerror or "the system refuses").lower()
    advice = f": {ADVICE[error.errno]}" if error.errno in ADVICE else ""
    if error.errno == errno.ENOENT and error.filename is not None:
        return f"there is no file or folder {error.filename}."
    place = "the output" if error.filename is None else str(error.filename)
    return f"{place} can't be used ({reason}){advice}."


def one_line(text: str) -> str:
    """A message of several lines, or of several spaces, as one."""
    return " ".join(text.split())


def _of_child(text: str) -> str | None:
    """The sentence of a data or system error in the traceback of another process."""
    if "Traceback (most recent call last)" not in text:
        return None
    *_, (kind, sentence) = [("", ""), *IN_CHILD.findall(text)]
    builtin = getattr(builtins, kind, Exception)
    known = kind == DataError.__name__ or issubclass(builtin, OSError | MemoryError)
    return sentence if known else None


def _of_torch(text: str) -> str | None:
    if TORCH_WORKER.search(text):
        return WORKER_ENDED
    if TORCH_MEMORY.search(text):
        return MEMORY
    for pattern, sentence in TORCH_FAULTS:
        if found := re.search(pattern, text):
            named = found.groupdict()
            return sentence.format(reason=named.get("reason") or named.get("other"))
    return None
