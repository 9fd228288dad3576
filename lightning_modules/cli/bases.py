"""Configurations laid over others: `base: small.yaml` in a file names the one below it."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.json_values import shown
from datamodules.settings_files import check_settings, read_settings

CONFIG = "--config"
SHORT = "-c"
BASE = "base"
"""Key of a configuration that names the one it is laid over, relative to its own file."""


def with_bases(arguments: Sequence[str]) -> list[str]:
    """Arguments with the bases of every `--config FILE` as configurations before it.

    Raises:
        DataError: a configuration or a base is not there or no YAML mapping, see
            `settings_files`, or is laid over itself.
    """
    words: list[str] = []
    for word in arguments:
        option, equals, value = word.partition("=")
        if option in (CONFIG, SHORT) and equals:
            words += _stack(value)
        elif words and words[-1] in (CONFIG, SHORT):
            words.pop()
            words += _stack(word)
        else:
            words.append(word)
    return words


def _stack(config: str, named_by: str = CONFIG, above: tuple[Path, ...] = ()) -> list[str]:
    """`--config` of a file, after those of its bases, the lowest first."""
    path, own = Path(config), [CONFIG, config]
    if config.lstrip().startswith("{"):
        check_settings(config, CONFIG)
        return own
    name = read_settings(config, named_by).get(BASE)
    if name is None:
        return own
    if not isinstance(name, str):
        raise DataError(f"`{BASE}` in {config} is {shown(name)}, it must name a YAML file.")
    base = path.parent / name
    if base.resolve() in (path.resolve(), *above):
        raise DataError(f"{config} is laid over itself, by way of {base}: mend `{BASE}`.")
    return [*_stack(str(base), f"`{BASE}` in {config}", (*above, path.resolve())), *own]


def laid_below(base: str) -> None:
    """Drop the name of a base, which `with_bases` has laid below: what is printed or stored of the
    settings is whole."""
