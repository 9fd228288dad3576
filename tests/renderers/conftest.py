"""Makes `reference.py` importable from the tests beside it, and kernels divide their work."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Kernels divide their work among threads only where there are several."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
