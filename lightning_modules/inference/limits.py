"""Limits of what the tools are asked for, and the device they compute on."""

from dataclasses import dataclass
from typing import Annotated

import torch

from datamodules.errors import DataError
from datamodules.ranges import Range
from lightning_modules.inference.computing import AUTO

Pixels = Annotated[int, Range(1, 4096)]
Frames = Annotated[int, Range(1, 10_000)]
FramesPerSecond = Annotated[int, Range(1, 1000)]
BatchSize = Annotated[int, Range(1, 65_536)]
Tiles = Annotated[int, Range(1, 1000)]
Points = Annotated[int, Range(1, 2**31 - 1)]
Positive = Annotated[float, Range(0.001, 1_000_000)]
Inside = Annotated[float, Range(0.001, 0.999)]
"""A share that is neither nothing nor all."""

Level = Annotated[float, Range(0, 1e9)]
"""Density of a surface."""

MOST_SEED = 2**63 - 1
DrawnSeed = Annotated[int, Range(0, MOST_SEED)]
Truncation = Annotated[float, Range(0, 10)]
Lattice = Annotated[int, Range(2, 2048)]
"""Points along each side of a mesh's box."""

KINDS = ("cpu", "cuda", "mps", "xpu")


@dataclass(frozen=True)
class Computing:
    """Devices that this machine has."""

    def __repr__(self) -> str:
        """As help shows it."""
        return "auto, cpu, cuda or cuda:N"

    def check(self, name: str, value: str) -> None:
        """DataError unless it is auto or PyTorch can compute on the device."""
        if value == AUTO:
            return
        try:
            device = torch.device(value)
        except (RuntimeError, ValueError):  # what else may stand there is no user's affair
            device = torch.device("meta")
        if device.type not in KINDS:
            raise DataError(f"{name} is '{value}', it must be auto, cpu, cuda or one GPU: cuda:0.")
        found = _devices(device.type)
        if found == 0:
            raise DataError(
                f"{name} is '{value}', but PyTorch finds no {device.type} device here: give "
                "cpu, or leave it out."
            )
        if (device.index or 0) >= found:
            raise DataError(
                f"{name} is '{value}', but PyTorch finds {found} of {device.type}, numbered from "
                "0: give a lower number."
            )


Device = Annotated[str, Computing()]


def _devices(kind: str) -> int:
    if kind == "cpu":
        return 1
    module = getattr(torch, kind, None)
    return int(module.device_count()) if module is not None and module.is_available() else 0
