"""Waits of tests for other processes and threads."""

import time
from collections.abc import Callable

HANGS = 300.0
"""Seconds after which what never happens is given up; no machine is so busy."""


def wait_for(happened: Callable[[], object], seconds: float = HANGS) -> None:
    """Return once it has happened.

    Raises:
        TimeoutError: it never did.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened for {seconds:g} seconds")
        time.sleep(0.01)
