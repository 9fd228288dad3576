"""Threads and signals of the tests, and of the processes they start.

Test processes share few cores, and models this small are slower on more threads than one.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded, which reads them once. Idle threads wait asleep: spinning, they would keep
# the cores from the other test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch

# Jobs in the background of a script, or under nohup, are born ignoring these, and so are all the
# processes that tests start and send them to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

KERNELS = tuple(Path(__file__).parent / folder for folder in ("renderers", "models/blocks"))
"""Folders with tests of kernels, which divide their work among threads where there are several."""


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Two threads for tests of kernels."""
    before = torch.get_num_threads()
    if any(folder in request.path.parents for folder in KERNELS):
        torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
