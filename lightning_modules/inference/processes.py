"""Place of a process among those that work on one task, and the GPU that is its own."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lightning_modules.inference.computing import chosen_device


@dataclass(frozen=True)
class Place:
    """Place of this process among those that torchrun or a step of SLURM started."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @staticmethod
    def found(known: Mapping[str, str]) -> "Place":
        """That in the variables of an environment."""
        for names in (
            ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RUN_ID"),
            ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_STEP_ID"),
        ):
            if all(known.get(name) for name in names):
                return Place(*(int(known[name]) for name in names[:3]))
        return Place()

    def own_device(self, device: str) -> str:
        """The chosen device; where `cuda` or `auto` leave open which GPU, one of this process's
        own."""
        device = chosen_device(device)
        if device != "cuda" or self.world == 1:
            return device
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"
