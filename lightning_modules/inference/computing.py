"""Where tools compute and how precisely, as far as the command leaves it open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

AUTO = "auto"
Precision = Literal["float32", "bf16"]


def chosen_device(value: str) -> str:
    """What `--device` says; of `auto` the GPU where PyTorch finds one, and the CPU elsewhere."""
    if value != AUTO:
        return value
    return "cuda" if torch.cuda.is_available() else "cpu"


def chosen_precision(asked: Precision | None, device: str) -> Precision:
    """What was asked for, or bf16 on a GPU, as in training, and float32 elsewhere."""
    return asked or ("bf16" if torch.device(device).type == "cuda" else "float32")


def drawing(device: torch.device | str, precision: Precision) -> torch.autocast:
    """A context in which scenes are made and rendered in a precision: under autocast in bf16."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def whole_float32(device: torch.device | str) -> Iterator[None]:
    """A context of float32 whatever autocast is active, on a GPU without TF32 too: for what figures
    are made of, so that those of a GPU and of a CPU are alike."""
    kind, cudnn = torch.device(device).type, torch.backends.cudnn
    with torch.autocast(kind, enabled=False):
        if kind != "cuda":
            yield
            return
        before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            cudnn.allow_tf32 = before[1]
