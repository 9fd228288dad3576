"""FSDP2: dividing a model's weights among processes, and gathering them again."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from datamodules.errors import DataError

Model = TypeVar("Model", bound=nn.Module)


class ShardedStrategy(ModelParallelStrategy):
    """FSDP2 over all processes; checkpoints are one file, which every tool can read.

    By itself Lightning's strategy divides a model among nodes only, and gives the processes of a
    node the same images.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """Give every process images of its own, now that their number is known."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def data_mesh(mesh: DeviceMesh) -> DeviceMesh:
    """The processes that a model is divided among, which must be all of them.

    Raises:
        DataError: one sentence with the knob.
    """
    if mesh["tensor_parallel"].size() > 1:
        raise DataError(
            f"The strategy gives {mesh['tensor_parallel'].size()} processes the same images "
            "(tensor_parallel_size): set `trainer.strategy.class_path` to "
            "lightning_modules.training.sharding.ShardedStrategy."
        )
    return mesh["data_parallel"]


def shard_blocks(
    model: nn.Module, blocks: nn.ModuleList, mesh: DeviceMesh, *, in_bf16: bool = False
) -> None:
    """Divide the weights of every block, and of the rest of the model, among the processes.

    The weights of a block's linear layers are gathered when it runs and dropped afterwards, so a
    process holds its share and one block. A compiled block runs in parts between the gatherings.

    in_bf16: whether they are gathered in bfloat16, for autocast, which would round them alike; it
    halves what is sent. Gradients are added up in float32.
    """
    rounded = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    policy = rounded if in_bf16 else MixedPrecisionPolicy()
    for block in blocks:
        parts = [part for part in block.children() if _has_linear(part)]
        fully_shard(parts, mesh=mesh, mp_policy=policy)
    # By default the outermost weights stay gathered until a backward pass: an average has none.
    fully_shard(model, mesh=mesh, reshard_after_forward=True)


def _has_linear(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Linear) for part in module.modules())


def whole(value: Tensor) -> Tensor:
    """A tensor gathered from all processes; every process must call. Others stay as they are."""
    return value.full_tensor() if isinstance(value, DTensor) else value


@torch.no_grad()
def gathered(model: Model, build: Callable[[], Model]) -> Model:
    """The model with whole weights: itself, or what `build` makes with its weights filled in where
    they are divided; then every process must call."""
    state = model.state_dict()
    if not any(isinstance(value, DTensor) for value in state.values()):
        return model
    copy = build()
    copy.load_state_dict({name: whole(value) for name, value in state.items()})
    return copy.eval()


def numbered_by_module(
    state: dict[str, Any], optimizer: Optimizer, module: nn.Module
) -> dict[str, Any]:
    """The state of an optimiser whose parameters have the numbers they have in the module.

    So a run on FSDP2 can take it up, which finds parameters by these numbers; PyTorch goes by their
    order alone.
    """
    numbers = {parameter: number for number, parameter in enumerate(module.parameters())}
    groups, renumbered = [], dict[int, int]()
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        group_numbers = [numbers[parameter] for parameter in group["params"]]
        renumbered |= dict(zip(saved["params"], group_numbers, strict=True))
        groups.append(saved | {"params": group_numbers})
    values = {renumbered[number]: value for number, value in state["state"].items()}
    return state | {"state": values, "param_groups": groups}
