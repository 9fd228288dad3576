"""Loss on the sizes of boxes that a model finds."""

import torch
from torch import Tensor

from models.spaces import box_sides


def box_size_loss(half_extents: Tensor, size: Tensor) -> Tensor:
    """Mean squared difference of the logarithms of sides over the boxes of known size, ().

    Args:
        half_extents: (B, 3) found, half the sides along x, y and z.
        size: (B, 3) labelled length, width and height, NaN unknown.

    >>> half = torch.tensor([[2.0, 0.75, 1.0]])
    >>> box_size_loss(half, torch.tensor([[4.0, 2.0, 1.5]])).item()
    0.0
    """
    known = ~size.isnan().any(1, keepdim=True)
    wanted = torch.where(known, box_sides(size), 2 * half_extents.detach())
    squares = (2 * half_extents / wanted).log().square()
    return squares.sum() / (3 * known.sum()).clamp(min=1)
