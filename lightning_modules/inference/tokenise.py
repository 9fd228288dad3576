"""Tokens of images, made the same way for token shards and for training on the fly."""

import torch
from torch import Tensor

from datamodules.errors import DataError
from models.autoencoder import TokenAutoencoder


@torch.no_grad()
def tokenise(model: TokenAutoencoder, images: Tensor) -> Tensor:
    """Tokens (B, T) int64 of images (B, 3, H, W) uint8 on the model's device.

    Computed in float32 whatever autocast is active: token shards and training on the fly both come
    here, so they give the same tokens although only one of them runs under autocast.

    Raises:
        DataError: what the model makes of the images is not finite, so its tokens mean nothing.
    """
    with torch.autocast(images.device.type, enabled=False):
        quantized = model.encode(images.to(torch.float32) / 255)
    if not quantized.loss.isfinite():  # it compares features with codes
        raise DataError(
            "what the stage-1 model makes of these images is not finite, as after a training that "
            "diverged: name another checkpoint."
        )
    return quantized.tokens
