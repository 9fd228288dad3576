"""Weights that nothing here downloads: a file the user names, or the one in torch's cache."""

from pathlib import Path

import torch


def cached_weights(name: str) -> Path:
    """Where torch.hub, and the libraries that use it, keep the weights in a file of this name."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name
