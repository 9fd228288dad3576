"""How the processes of a run share one model, where the command does not say."""

import torch

FINDS_UNUSED = "ddp_find_unused_parameters_true"


def suited_strategy(asked: object, unused: bool, devices: object, nodes: int) -> object:
    """Return the strategy of a run: the one asked for, unless that is left to us and must find
    unused parameters.

    Two optimisers that step in turn leave each other's parameters without a gradient, and plain DDP
    stops at the second step with an error that names neither.

    Args:
        asked: Lightning's name or a strategy; `auto` and `ddp` are replaced.
        unused: whether steps leave parameters without a gradient.
        devices, nodes: processes per node, in any of Lightning's spellings, and nodes.
    """
    several = nodes > 1 or str(devices) not in ("1", "auto", "-1")
    if str(devices) in ("auto", "-1") and torch.accelerator.is_available():
        several |= torch.accelerator.device_count() > 1
    return FINDS_UNUSED if unused and several and asked in ("auto", "ddp") else asked
