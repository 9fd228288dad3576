"""Checkpoint files: the one reader that training and tools share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor

from datamodules.errors import DataError, check_number
from models.stored import as_type, told
from models.weights_file import as_weights, check_records, load_stored, regular_size

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
"""What a run keeps: the newest state, the one before it, and that of the best figure."""

KEPT = (LAST, PREVIOUS, BEST)

TRAINING_PARTS: Mapping[str, type] = {
    "images_seen": int,
    "optimizer_states": list,
    "loops": dict,
    "callbacks": dict,
    "lr_schedulers": list,
    "epoch": int,
    "global_step": int,
    "pytorch-lightning_version": str,
}
"""What a checkpoint of a training has beside its model."""

MOST_COUNTED = 1 << 62

Part = TypeVar("Part")


class DamagedCheckpointError(DataError):
    """A file that is no whole checkpoint, whatever became of it."""


@dataclass(frozen=True)
class Checkpoint:
    """What is in a whole checkpoint file.

    content: all of it, for Lightning; weights: tensors on the CPU by name, mapped from the file;
    recipe: of the model, see `models.recipe`; size: of the file in bytes.
    """

    path: Path
    content: dict[str, Any]
    weights: Mapping[str, Tensor]
    recipe: object
    size: int

    @property
    def images_seen(self) -> int:
        """Images that the model was trained on.

        Raises:
            DataError: the file does not say.
        """
        images = self.part("images_seen", int)
        check_number(f"images_seen of {self.path}", images, 0, MOST_COUNTED)
        return images

    def part(self, name: str, of: type[Part], default: Part | None = None) -> Part:
        """A part of the content as a type, see `models.stored`; a default where there is none.

        Raises:
            DataError: it is of another type, or there is neither it nor a default.
        """
        if name not in self.content and default is not None:
            return default
        if name not in self.content:
            raise DataError(f"{self.path} has no {name}: name a checkpoint of a training.")
        try:
            return cast(Part, as_type(self.content[name], of, name))
        except ValueError as error:
            raise DataError(
                f"{self.path} can't be used: {str(error).removesuffix('.')}."
            ) from error


def check_training(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that no training can be continued from, as `wild3d invert` writes them.

    Raises:
        DataError: one sentence with the first part that it lacks.
    """
    if (fault := training_fault(checkpoint)) is not None:
        raise DataError(
            f"{checkpoint.path} is of no training, {fault}: name a checkpoint that `wild3d fit` "
            "wrote."
        )


def training_fault(checkpoint: Checkpoint) -> str | None:
    """The first part of a checkpoint that is not as in a training's, None if there is none."""
    for name, kind in TRAINING_PARTS.items():
        part = checkpoint.content.get(name)
        if not isinstance(part, kind) or isinstance(part, bool):
            return f"its {name} is {told(part)}"
    recipe = checkpoint.recipe if isinstance(checkpoint.recipe, Mapping) else {}
    class_path, arguments = recipe.get("class_path"), recipe.get("init_args")
    if not isinstance(class_path, str) or not isinstance(arguments, Mapping):
        return "it does not say which model it holds"
    counts = {name: checkpoint.content[name] for name in ("images_seen", "loops")}
    return _count_fault(counts)


def _count_fault(counts: dict[str, Any]) -> str | None:
    """What is neither a count nor yes or no, by name, as Lightning keeps its progress."""
    waiting: list[tuple[str, object]] = [*counts.items()]
    seen = set[int]()  # a dictionary may be at many places, even in itself
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            inner = value.items() if id(value) not in seen else ()
            seen.add(id(value))
            waiting += [(f"{name}.{key}", one) for key, one in inner]
        elif not isinstance(value, int):  # as booleans are
            return f"its {name} is {told(value)}, not a count"
        elif not 0 <= value <= MOST_COUNTED:
            return f"its {name} is {told(value)}, it must be from 0 to {MOST_COUNTED:,}"
    return None


def read_checkpoint(path: str | Path, kind: str = "checkpoint") -> Checkpoint:
    """Read a checkpoint with a model, every byte of which is checked; `kind` is what the errors
    call it.

    The weights are mapped: of the states of the optimisers only the checksums are taken.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedCheckpointError: it is none, or not whole; names a whole one beside it.
        DataError: it may not be read.
    """
    path = Path(path)
    if not path.exists() or path.is_dir():
        beside = [name for name in KEPT if (path.parent / name).is_file()]
        example = beside[0] if beside else BEST
        raise FileNotFoundError(f"There is no checkpoint {path}: name a file, e.g. {example}.")
    try:
        return open_whole(path)
    except ValueError as error:
        other = next((one for one in _beside(path) if _is_whole(one)), None)
        advice = f"; {other} is whole" if other is not None else ""
        raise DamagedCheckpointError(f"{path} is no {kind}: {error}{advice}.") from error
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}).") from error


def _beside(path: Path) -> list[Path]:
    found = [path.with_name(name) for name in KEPT if name != path.name]
    return [one for one in found if one.is_file()]


def _is_whole(path: Path) -> bool:
    try:
        open_whole(path)
    except (ValueError, OSError):
        return False
    return True


def open_whole(path: Path) -> Checkpoint:
    """`read_checkpoint` for those who go on without the file.

    Raises:
        OSError: it can't be opened.
        ValueError: what is wrong with it.
    """
    size = regular_size(path)
    with path.open("rb") as file:
        check_records(file, size)
    content = load_stored(path, mmap=True)
    if not isinstance(content, dict):
        raise ValueError(f"it holds {told(content)}")
    if "model" not in content or "state_dict" not in content:
        names = sorted(map(str, content))
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        raise ValueError(f"it holds {names[:10]}{more}")
    weights = as_weights(content["state_dict"])
    return Checkpoint(path, content, weights, content["model"], size)
