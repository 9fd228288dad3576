"""Precision of a run, suited to the hardware where the command leaves it open."""

import re
from difflib import get_close_matches
from importlib.util import find_spec
from typing import cast

import torch
from lightning.pytorch.strategies import StrategyRegistry

from datamodules.errors import DataError, check_number
from renderers.cpu.precision import bf16_is_fast

MOST_SEED = 2**32 - 1
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
FLOAT32 = "32-true"
PRECISIONS = ("bf16-mixed", "bf16", FLOAT32, "32")


def check_hardware(
    accelerator: object, devices: object, nodes: object, strategy: object, seed: object
) -> None:
    """Refuse what a run can't be started on, before anything is built.

    Args:
        accelerator, devices, nodes, strategy: of the trainer, in Lightning's spellings.
        seed: `seed_everything`.

    Raises:
        DataError: one sentence with the value, the limit and the knob.
    """
    if not isinstance(seed, bool) and seed is not None:
        check_number("--seed_everything", cast(int, seed), 0, MOST_SEED)
    check_number("--trainer.num_nodes", cast(int, nodes), 1, 100_000)
    if isinstance(accelerator, str):
        _check_accelerator(accelerator)
    strategies = StrategyRegistry.available_strategies()
    if isinstance(strategy, str) and strategy not in ("auto", *strategies):
        near = get_close_matches(strategy, strategies, n=1)
        meant = f"did you mean {near[0]}?" if near else "give auto or ddp."
        raise DataError(
            f"--trainer.strategy is '{strategy}', which Lightning does not know: {meant}"
        )
    words = str(devices).strip("[]() ")
    if words not in ("auto", "-1") and not re.fullmatch(r"\d+(\s*,\s*\d+)*,?", words):
        raise DataError(
            f"--trainer.devices is '{devices}', it must be a number of at least 1, numbers of GPUs "
            "such as 0,1, or auto."
        )
    if words.isdecimal():
        check_number("--trainer.devices", int(words), 0 if isinstance(devices, list) else 1, 1024)
    numbered = isinstance(devices, list) or "," in words or words == "-1"
    if numbered and _on_cpu(str(accelerator)):
        raise DataError(
            f"--trainer.devices is '{devices}', which counts GPUs, and this run is on the CPU: "
            "give a number of processes, e.g. 1, or auto."
        )


def _check_accelerator(accelerator: str) -> None:
    if accelerator not in ACCELERATORS:
        raise DataError(
            f"--trainer.accelerator is '{accelerator}', it must be one of "
            f"{', '.join(ACCELERATORS)}."
        )
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    missing = {"gpu": not gpu, "cuda": not torch.cuda.is_available()}
    missing["mps"] = not torch.backends.mps.is_available()
    missing["tpu"] = find_spec("torch_xla") is None
    if missing.get(accelerator, False):
        raise DataError(
            f"--trainer.accelerator is '{accelerator}', but PyTorch finds none here: give cpu or "
            "auto."
        )


def _on_cpu(accelerator: str) -> bool:
    """Whether `accelerator` is the CPU, also as what `auto` comes to."""
    return accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())


def suited_precision(asked: str, accelerator: str) -> tuple[str, str | None]:
    """Return the precision to train in and, where it is not the one asked for, one sentence of why.

    Without fast matrix instructions a CPU multiplies bfloat16 two to a hundred times slower than
    float32, so there bfloat16 gives way to float32.

    Args:
        asked: Lightning's name, e.g. `bf16-mixed`.
        accelerator: Lightning's name; `auto` is the CPU where PyTorch finds no accelerator.

    Raises:
        DataError: it is a float16 format; their losses are scaled, and gradient norms, which are
            checked and clipped, with them; or it is one that changes the type of the weights, or of
            a batch, or none of Lightning's.
    """
    if asked == "16" or asked.startswith("16-"):
        raise DataError(
            f"trainer.precision is {asked}: float16 is not supported, give bf16-mixed or {FLOAT32}."
        )
    if asked not in PRECISIONS:
        raise DataError(f"trainer.precision is {asked}, give bf16-mixed or {FLOAT32}.")
    if not asked.startswith("bf16") or not _on_cpu(accelerator) or bf16_is_fast():
        return asked, None
    return FLOAT32, (
        f"This CPU multiplies bfloat16 no faster than float32: training in {FLOAT32} instead of "
        f"{asked}."
    )
