"""Tokens of images, made the same way for token shards and for training on the fly."""

import torch
from torch import Tensor

from models.autoencoder import TokenAutoencoder


@torch.no_grad()
def tokenise(model: TokenAutoencoder, images: Tensor) -> Tensor:
    """Tokens (B, T) int64 of images (B, 3, H, W) uint8 on the model's device.

    Computed in float32 whatever autocast is active: token shards and training on the fly both come
    here, so they give the same tokens although only one of them runs under autocast.
    """
    with torch.autocast(images.device.type, enabled=False):
        return model.encode(images.to(torch.float32) / 255).tokens
