"""The number format of a run on the hardware at hand."""

import torch

from datamodules.errors import DataError
from renderers.cpu.precision import bf16_is_fast

FLOAT32 = "32-true"


def suited_precision(asked: str, accelerator: str) -> tuple[str, str | None]:
    """Return the precision to train in and, where it is not the one asked for, one sentence of why.

    Without fast matrix instructions a CPU multiplies bfloat16 two to a hundred times slower than
    float32, so there bfloat16 gives way to float32.

    Args:
        asked: Lightning's name, e.g. `bf16-mixed`.
        accelerator: Lightning's name; `auto` is the CPU where PyTorch finds no accelerator.

    Raises:
        DataError: it is a float16 format; their losses are scaled, and gradient norms, which are
            checked and clipped, with them.
    """
    if asked == "16" or asked.startswith("16-"):
        raise DataError(
            f"trainer.precision is {asked}: float16 is not supported, give bf16-mixed or {FLOAT32}."
        )
    on_cpu = accelerator == "cpu" or (
        accelerator == "auto" and not torch.accelerator.is_available()
    )
    if not asked.startswith("bf16") or not on_cpu or bf16_is_fast():
        return asked, None
    return FLOAT32, (
        f"This CPU multiplies bfloat16 no faster than float32: training in {FLOAT32} instead of "
        f"{asked}."
    )
