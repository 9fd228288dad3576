"""Configurations laid over others: `base: small.yaml` in a file names the one below it."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from datamodules.errors import DataError

CONFIG = "--config"
BASE = "base"
"""Key of a configuration that names the one it is laid over, relative to its own file."""


def with_bases(arguments: Sequence[str]) -> list[str]:
    """Arguments with the bases of every `--config FILE` as configurations before it.

    Raises:
        DataError: a base is not there, or is laid over itself.
    """
    words: list[str] = []
    for word in arguments:
        option, equals, value = word.partition("=")
        if option == CONFIG and equals:
            words += _stack(value)
        elif words and words[-1] == CONFIG:
            words.pop()
            words += _stack(word)
        else:
            words.append(word)
    return words


def _stack(config: str, above: tuple[Path, ...] = ()) -> list[str]:
    """`--config` of a file, after those of its bases, the lowest first."""
    path = Path(config)
    own = [CONFIG, config]
    if config.lstrip().startswith("{") or not path.is_file():
        return own  # settings themselves; a missing file is the parser's to refuse
    base = _base_of(path)
    if base is None:
        return own
    if not base.is_file():
        raise DataError(f"{config} is to be laid over {base}, which is not there: mend `{BASE}`.")
    if base.resolve() in (path.resolve(), *above):
        raise DataError(f"{config} is laid over itself, by way of {base}: mend `{BASE}`.")
    return [*_stack(str(base), (*above, path.resolve())), *own]


def _base_of(path: Path) -> Path | None:
    try:
        settings = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        return None  # the parser tells what is wrong with it
    base = settings.get(BASE) if isinstance(settings, dict) else None
    return None if base is None else path.parent / str(base)


def laid_below(base: str) -> None:
    """Drop the name of a base, which `with_bases` has laid below: what is printed or stored of the
    settings is whole."""
