"""A GPU's streams where there is none: what they are told, in order, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from datamodules import transfer
from datamodules.transfer import Mover


class Stream:
    """Takes the calls that a `Mover` makes of a `torch.cuda.Stream`."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told

    def record_event(self) -> str:
        self.told.append(f"{self.name} records")
        return "copied"

    def wait_event(self, event: str) -> None:
        self.told.append(f"{self.name} waits for {event}")


class Copies(TorchDispatchMode):
    """Counts the copies of CPU tensors to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [each for each in args if isinstance(each, Tensor)]
        if isinstance(out, Tensor) and any(each.device != out.device for each in tensors):
            self.count += 1
        return out


class CountedMover(Mover):
    """Notes how many copies each batch takes."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.copies: list[int] = []

    def start(self, shares, first):
        with Copies() as copies:
            moving = super().start(shares, first)
        self.copies.append(copies.count)
        return moving


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the streams were told so far; movers work with any device."""
    told: list[str] = []

    @contextmanager
    def entered(stream: Stream) -> Iterator[None]:
        told.append(f"{stream.name} begins")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("copying", told))
    monkeypatch.setattr(torch.cuda, "stream", entered)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("computing", told))
    monkeypatch.setattr(transfer, "_pinned", lambda size: torch.zeros(size, dtype=torch.uint8))

    def keep(block: Tensor, stream: Stream) -> None:
        told.append(f"block of {block.nbytes} is kept for {stream.name}")

    monkeypatch.setattr(torch.Tensor, "record_stream", keep, raising=False)
    return told
