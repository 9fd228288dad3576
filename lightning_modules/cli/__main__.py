"""Entry of the `wild3d` command, which first sees that its packages are ours.

`models`, `datamodules` and `renderers` are common names: a folder of one of these names that comes
first on the path would be imported instead, perhaps in part. Nothing of ours is imported before.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

PACKAGES = ("datamodules", "models", "renderers", "lightning_modules")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run one verb with the words of the command line; returns the exit code."""
    try:
        Path.cwd()
    except FileNotFoundError:  # without which not even PyTorch can be loaded
        print("wild3d: the folder it is run in was removed: go to another.", file=sys.stderr)
        return 2
    if (hidden := hidden_package()) is not None:
        print(f"wild3d: {hidden}", file=sys.stderr)
        return 2
    with stopping_in_a_line():  # importing takes seconds
        command: Callable[[], int] = import_module("lightning_modules.cli.main").main
    return command()


@contextmanager
def stopping_in_a_line() -> Iterator[None]:
    """End at a signal in one line and with its code, unless it is ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        with suppress(OSError):  # the terminal may be no more
            print(f"wild3d: stopped by {name}.", file=sys.stderr)
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in ENDING}
    heard = [number for number in ENDING if before[number] not in (None, signal.SIG_IGN)]
    try:
        for number in heard:
            signal.signal(number, stop)
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def hidden_package() -> str | None:
    """One sentence about the first of our packages that Python would import from another place than
    this file's, None if there is none."""
    home = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = find_spec(name)
        places = [] if spec is None else [*(spec.submodule_search_locations or ()), spec.origin]
        found = next((Path(place).resolve() for place in places if place), None)
        if found != home / name:
            return (
                f"the package {name} of {home} is hidden by {found}, which comes first on "
                "Python's path: rename that, or take its folder off PYTHONPATH."
            )
    return None


if __name__ == "__main__":
    sys.exit(main())
