"""What a `fit` continues from: the newest whole checkpoint of its run."""

import os
from collections.abc import Callable
from copy import copy, deepcopy
from pathlib import Path
from traceback import walk_tb

from lightning import Callback, Trainer
from packaging.version import Version

from datamodules.errors import DataError
from lightning_modules.inference.checkpoint_file import (
    KEPT,
    LAST,
    Checkpoint,
    check_training,
    open_whole,
    read_checkpoint,
    training_fault,
)
from lightning_modules.training.base import TrainingModule

RESTORING = {"_restore_modules_and_callbacks", "restore_training_state"}
"""Lightning's functions that take a checkpoint up."""

Fault = Callable[[Checkpoint], str | None]
"""Says why a training of this model can't take a checkpoint up, see `malformed_part`."""


def find_continued(run: Path, named: str | None, fault_of: Fault) -> tuple[Checkpoint, str] | None:
    """The checkpoint that a fit continues from, and a sentence about it; None where it begins.

    That is the last of the run, or where it is damaged the previous or the best one, unless another
    of its own is named; that of another run only begins one, since the same command must continue
    it. Every process of a run comes to the same, of the same files.

    Args:
        fault_of: what is malformed in a checkpoint; raises DataError for one of another model.

    Raises:
        FileNotFoundError, DataError: the named one can't be used, or none of the run is whole, or a
            folder is where one will be.
    """
    folder = run / "checkpoints"
    for name in KEPT:
        if (folder / name).is_dir():
            raise DataError(
                f"{folder / name} is a folder, the run keeps a checkpoint there: move it away."
            )
    begun = any(os.path.lexists(folder / name) for name in KEPT)
    if named is not None:
        own = Path(named).resolve().parent == folder.resolve()
        if own or not begun:
            opened = read_checkpoint(named)
            check_training(opened)
            if (fault := fault_of(opened)) is not None:
                raise _not_taken_up(named, fault)
            return opened, f"Continuing {run} from {named}"
    if not begun:
        return None
    opened, lost = _newest_whole(folder, run, fault_of)
    unused = f"; {named} was to begin it, which is done" if named is not None else ""
    return opened, f"{lost}Continuing {run} from {opened.path}{unused}"


def malformed_part(opened: Checkpoint, trainer: Trainer, module: TrainingModule) -> str | None:
    """What a training can't take up of a checkpoint of its own model, None if it can. Everything is
    tried on copies: Lightning would stop half-way.

    Raises:
        DataError: the checkpoint is of another model or format.
    """
    content = opened.content
    module.check_same_training(content)
    try:
        Version(content["pytorch-lightning_version"])
        module.check_states(content)
        type(trainer.fit_loop)(trainer).load_state_dict(deepcopy(content["loops"]["fit_loop"]))
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for callback in callbacks:
            if state := content["callbacks"].get(callback.state_key):
                copy(callback).load_state_dict(deepcopy(state))
    except (ValueError, DataError) as error:
        return _reason(error)
    except Exception as error:  # whatever the hooks make of it
        return f"it fails with {_reason(error)}"
    return None


def was_restoring(error: Exception) -> bool:
    """Whether Lightning, or one of our hooks, met an error while it took up a checkpoint."""
    return any(frame.f_code.co_name in RESTORING for frame, _ in walk_tb(error.__traceback__))


def restoring_fault(error: Exception, path: object) -> DataError:
    """What users are told of a whole checkpoint whose content is not what it should be."""
    return _not_taken_up(path, _reason(error))


def _reason(error: Exception) -> str:
    told = type(error) in (ValueError, DataError)
    text = str(error) if told else f"{type(error).__name__}: {error}"
    return " ".join(text.split()).removesuffix(".")


def _not_taken_up(path: object, reason: str) -> DataError:
    return DataError(
        f"{path} can't be taken up ({reason}): name another checkpoint (`--ckpt_path`), or begin "
        "another run (`--run`)."
    )


def _newest_whole(folder: Path, run: Path, fault_of: Fault) -> tuple[Checkpoint, str]:
    """The newest whole checkpoint of a run, and what is lost if that is not the last."""
    faults: dict[str, str] = {}
    for name in KEPT:
        try:
            opened = open_whole(folder / name)
            fault = training_fault(opened) or fault_of(opened)
        except FileNotFoundError:
            linked = (folder / name).is_symlink()
            faults[name] = "it is a link to nothing" if linked else "it is not there"
        except OSError as error:
            raise DataError(f"{folder / name} can't be read ({error.strerror}).") from error
        except ValueError as error:
            faults[name] = str(error).removesuffix(".")
        else:
            if fault is not None:
                faults[name] = fault
            elif not faults:
                return opened, ""
            else:
                return opened, (
                    f"{folder / LAST} is of no use ({faults[LAST]}): what was trained after "
                    f"{opened.images_seen:,} images is lost. "
                )
    told = ", ".join(f"{name}: {fault}" for name, fault in faults.items())
    raise DataError(
        f"{run} can't be continued, no checkpoint in {folder} is whole ({told}): put back a copy "
        f"of one, or begin anew in another folder (--run)."
    )
