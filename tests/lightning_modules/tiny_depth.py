"""Checkpoints of an untrained depth network, and depth files."""

from pathlib import Path

import numpy as np
import torch

from models.depth_network import SmallDepthNetwork


def save_depth_network(path: Path, seed: int = 0) -> str:
    """A depth network as the checkpoint of a run that trained it."""
    torch.manual_seed(seed)
    model = SmallDepthNetwork(64, 8)
    weights = {f"ema.{name}": value for name, value in model.state_dict().items()}
    content = {"state_dict": weights, "model": model.recipe(), "data_name": "tiny"}
    torch.save(content | {"images_seen": 7}, path)
    return str(path)


def write_depth_files(folder: Path) -> str:
    """A folder with one file."""
    folder.mkdir(parents=True)
    np.save(folder / "train0000_depth.npy", np.eye(4) + 1)
    return str(folder)
