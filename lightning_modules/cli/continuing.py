"""What a `fit` continues from: the newest whole checkpoint of its run."""

from pathlib import Path
from traceback import walk_tb

from datamodules.errors import DataError
from lightning_modules.inference.checkpoint_file import (
    KEPT,
    LAST,
    PREVIOUS,
    Checkpoint,
    check_training,
    open_whole,
    read_checkpoint,
)

RESTORING = {"_restore_modules_and_callbacks", "restore_training_state"}
"""Lightning's functions that take a checkpoint up."""


def find_continued(run: Path, named: str | None) -> tuple[Checkpoint, str] | None:
    """The checkpoint that a fit continues from, and a sentence about it; None where it begins.

    That is the last of the run, or where it is damaged the previous or the best one, unless another
    of its own is named; that of another run only begins one, since the same command must continue
    it. Every process of a run comes to the same, of the same files.

    Raises:
        FileNotFoundError, DataError: the named one can't be used, or none of the run is whole.
    """
    folder = run / "checkpoints"
    begun = any((folder / name).exists() for name in (LAST, PREVIOUS))
    if named is not None:
        own = Path(named).resolve().parent == folder.resolve()
        if own or not begun:
            opened = read_checkpoint(named)
            check_training(opened)
            return opened, f"Continuing {run} from {named}"
    if not begun:
        return None
    opened, lost = _newest_whole(folder, run)
    unused = f"; {named} was to begin it, which is done" if named is not None else ""
    return opened, f"{lost}Continuing {run} from {opened.path}{unused}"


def was_restoring(error: Exception) -> bool:
    """Whether Lightning, or one of our hooks, met an error while it took up a checkpoint."""
    return any(frame.f_code.co_name in RESTORING for frame, _ in walk_tb(error.__traceback__))


def restoring_fault(error: Exception, path: object) -> DataError:
    """What users are told of a whole checkpoint whose content is not what it should be."""
    reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(".")
    if type(error) is ValueError:
        reason = " ".join(str(error).split())
    return DataError(
        f"{path} can't be taken up ({reason}): name another checkpoint (`--ckpt_path`), or begin "
        "another run (`--run`)."
    )


def _newest_whole(folder: Path, run: Path) -> tuple[Checkpoint, str]:
    """The newest whole checkpoint of a run, and what is lost if that is not the last."""
    faults: dict[str, str] = {}
    for name in KEPT:
        try:
            opened = open_whole(folder / name)
            check_training(opened)
        except FileNotFoundError:
            faults[name] = "it is not there"
        except OSError as error:
            raise DataError(f"{folder / name} can't be read ({error.strerror}).") from error
        except (ValueError, DataError) as error:
            faults[name] = str(error).removesuffix(".")
        else:
            if not faults:
                return opened, ""
            return opened, (
                f"{folder / LAST} is of no use ({faults[LAST]}): what was trained after "
                f"{opened.images_seen:,} images is lost. "
            )
    told = ", ".join(f"{name}: {fault}" for name, fault in faults.items())
    raise DataError(
        f"{run} can't be continued, no checkpoint in {folder} is whole ({told}): put back a copy "
        f"of one, or begin anew in another folder (--run)."
    )
