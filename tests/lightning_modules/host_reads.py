"""What makes the host wait for a device in training steps, found without a device."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).name

READS = {
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "masked_select",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
}
"""Operators whose value, or the shape of whose result, the host must know to go on."""

Reads = Counter[tuple[str, str]]
"""How often, by what and where."""

METHODS = {Tensor.tolist, Tensor.numpy, Tensor.cpu}
"""Reads that are no operators where the tensor is on the CPU already."""


class HostReads(TorchDispatchMode):
    """Counts them by what and where: the line of ours that asks.

    `lift_fresh` is a number or a list that becomes a tensor, which on a GPU is a blocking copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found = Reads()
        self.methods = _Methods(self)

    def __enter__(self) -> "HostReads":
        self.methods.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.methods.__exit__(*error)

    def note(self, what: str) -> None:
        """Count one."""
        self.found[what, _place()] += 1

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in READS or name == "lift_fresh":
            self.note(name)
        elif name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            if any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
                self.note(f"{name} by a mask")
        elif name == "repeat_interleave" and (kwargs or {}).get("output_size") is None:
            self.note(name)
        result = func(*args, **(kwargs or {}))
        # A number on the CPU may be an operand anywhere.
        operands = [x for x in _tensors((args, kwargs)) if x.ndim]
        devices = {x.device.type for x in [*operands, *_tensors(result)]}
        if len(devices) > 1:
            self.note(f"{name} of {' and '.join(sorted(devices))}")
        return result


class _Methods(TorchFunctionMode):
    def __init__(self, reads: HostReads) -> None:
        self.reads = reads

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in METHODS:
            self.reads.note(func.__name__)
        return func(*args, **(kwargs or {}))


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _place() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.name != HERE and ROOT in path.parents and "site-packages" not in path.parts:
            return f"{path.relative_to(ROOT)}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "outside"


class StepReads(Callback):
    """Counts those of every training step, from the batch's arrival to the other callbacks."""

    def __init__(self) -> None:
        self.steps: list[Reads] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        self.reads = HostReads()
        self.reads.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        self.reads.__exit__(None, None, None)
        self.steps.append(self.reads.found)
