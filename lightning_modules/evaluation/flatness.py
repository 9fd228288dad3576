"""Non-flatness: how far scenes are from showing everything at one depth."""

import torch
from torch import Tensor

from models.scenes import View


def non_flatness(
    depth: Tensor,
    near: Tensor | float,
    far: Tensor | float,
    weight: Tensor | None = None,
    bins: int = 64,
) -> Tensor:
    """Non-flatness of each image: exp(entropy of its depth histogram); the score is the mean.

    From 1, all pixels at one depth, to `bins`, depths spread evenly between near and far. As in
    3DGP (arXiv 2303.01416), whose code takes 256 depth maps and 64 bins.

    Args:
        depth: (B, H, W) depth, or disparity; values outside the range count at its ends.
        near, far: the range of the histogram, near < far, in units of `depth`; (B,) if each image
            has its own.
        weight: (B, H, W) >= 0, how much a pixel counts: opacity, or whether its depth is known.
        bins: of equal width.

    Returns:
        (B,) float64, NaN where no pixel counts.

    Raises:
        ValueError: the range is empty.
    """
    low, high = (torch.as_tensor(end).to(depth).double().reshape(-1, 1) for end in (near, far))
    if not (low < high).all():
        raise ValueError(f"The depth range is {near} to {far}: far must be above near.")
    share = ((depth.flatten(1) - low) / (high - low)).clamp(0, 1)  # (B, H W)
    place = (share * bins).long().clamp(max=bins - 1)
    counted = torch.ones_like(share) if weight is None else weight.flatten(1).double()
    histogram = share.new_zeros(len(share), bins).scatter_add_(1, place, counted)
    probability = histogram / histogram.sum(1, keepdim=True)
    return torch.special.entr(probability).sum(1).exp()


def view_flatness(view: View) -> Tensor:
    """Non-flatness (B,) float64 of a view's disparity, on the CPU; NaN where an image shows
    nothing.

    The histogram spans the view's `disparity_range`, and pixels count by their opacity.
    """
    low, high = view.disparity_range.unbind(1)
    return non_flatness(view.disparity, low, high, view.opacity).cpu()
