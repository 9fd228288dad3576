"""Tokens of images, made the same way for token shards and for training on the fly."""

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.modalities import MASK_BACKGROUND, MASK_OBJECT
from datamodules.schema import Batch
from models.autoencoder import Sight, TokenAutoencoder
from renderers.rays import Rays


def sight(batch: Batch) -> Sight:
    """What a batch knows of how its images were seen."""
    rays = None
    if batch.rays is not None:
        rays = Rays(batch.rays.origins.flatten(1, 2), batch.rays.directions.flatten(1, 2))
    mask = None
    if batch.mask is not None:
        mask = torch.stack([batch.mask == MASK_OBJECT, batch.mask == MASK_BACKGROUND], 1)
    return Sight(rays, batch.size(), mask)


@torch.no_grad()
def tokenise(model: TokenAutoencoder, batch: Batch, *, check: bool = True) -> Tensor:
    """Tokens (B, T) int64 of the images of a batch on the model's device.

    Computed in float32 whatever autocast is active: token shards and training on the fly both come
    here, so they give the same tokens although only one of them runs under autocast.

    check: whether to wait for the device to say that what the model makes of them is finite.

    Raises:
        DataError: what the model makes of the images is not finite, so its tokens mean nothing.
    """
    with torch.autocast(batch.image.device.type, enabled=False):
        quantized = model.encode(batch.float_image(), sight(batch))
    if check and not quantized.loss.isfinite():  # it compares features with codes
        raise DataError(
            "what the stage-1 model makes of these images is not finite, as after a training that "
            "diverged: name another checkpoint."
        )
    return quantized.tokens
