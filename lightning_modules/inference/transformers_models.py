"""Image models of the transformers package out of local files; nothing is downloaded."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from datamodules.errors import DataError, first_line

TRANSFORMERS = "transformers:"
"""Before the name or folder of such a model."""


class Pretrained(NamedTuple):
    """A model and its image processor.

    name: for people; missing: parameters that its weights lack, which the package leaves at random;
    revision: of the repository it was downloaded from, None where that is not known.
    """

    name: str
    model: nn.Module
    processor: Any
    missing: tuple[str, ...]
    revision: str | None


def open_pretrained(
    name: str, auto_class: str, kind: str, extra: str, option: str = "--network"
) -> Pretrained:
    """A model on the CPU, in evaluation mode.

    Args:
        name: a folder, or a model in the package's cache, e.g. facebook/dinov2-small.
        auto_class: of the package, e.g. AutoModel.
        kind: what the model is to be, for errors, e.g. image model.
        extra: of wild3d, which installs the package.
        option: that names the model, for errors.

    Raises:
        DataError: the package is not installed, or nothing of that name and kind is there.
    """
    try:
        import transformers
    except ImportError as error:
        raise DataError(
            "Networks of transformers need the package, which is not installed: "
            f"pip install 'wild3d[{extra}]'."
        ) from error
    transformers.utils.logging.disable_progress_bar()  # of files that are read in a moment
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        auto = getattr(transformers, auto_class)
        model, found = auto.from_pretrained(name, output_loading_info=True, **local)
        processor = transformers.AutoImageProcessor.from_pretrained(name, **local)
    except Exception as error:  # whatever the package makes of files and names
        raise DataError(
            f"transformers can't open {name} ({first_line(error)}): name the folder of an {kind}, "
            f"or one that is in its cache, in {option}; nothing is downloaded."
        ) from error
    called = f"{TRANSFORMERS}{Path(name).name if Path(name).is_dir() else name}"
    revision = getattr(model.config, "_commit_hash", None)
    missing = tuple(sorted(found["missing_keys"]))
    return Pretrained(called, model.eval().requires_grad_(False), processor, missing, revision)


def check_complete(opened: Pretrained, option: str = "--network") -> None:
    """DataError, which names the option of the model, if its weights lack some parameters."""
    if opened.missing:
        raise DataError(
            f"The weights of {opened.name} lack {len(opened.missing)} of its model's, first "
            f"{opened.missing[0]}: name another model in {option}."
        )
