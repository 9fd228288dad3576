"""Objects hidden further by the occluders of other images, whose truth is therefore known."""

from dataclasses import replace

import torch

from datamodules.modalities import MASK_OBJECT, MASK_OCCLUDER
from datamodules.schema import Batch

LEAST_SHOWN = 0.2
"""Share of an object's pixels that must stay visible."""


def further_hidden(batch: Batch, share: float, rng: torch.Generator) -> Batch:
    """A batch in which occluders lie before objects as they lie in other images of the batch.

    A share of the images, drawn at random, is laid behind the occluder of another image; one whose
    object would all but vanish stays as it is, as does one to which an image without an occluder
    falls. Depth and rays are those of the batch, which has masks.
    """
    if share == 0 or len(batch) < 2:
        return batch
    mask, count = batch.mask, len(batch)
    assert mask is not None  # the data were checked
    device = mask.device
    step = torch.randint(1, count, (1,), generator=rng, device=device)
    other = (torch.arange(count, device=device) + step) % count
    cover = mask[other] == MASK_OCCLUDER
    shown = mask == MASK_OBJECT
    left = (shown & ~cover).sum((1, 2)) >= LEAST_SHOWN * shown.sum((1, 2))
    drawn = torch.rand(count, generator=rng, device=device) < share
    cover &= (left & drawn)[:, None, None]
    return replace(
        batch,
        image=torch.where(cover[:, None], batch.image[other], batch.image),
        mask=mask.masked_fill(cover, MASK_OCCLUDER),
    )
