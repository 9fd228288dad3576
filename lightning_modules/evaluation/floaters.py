"""Floater over union (FOU) of GINA-3D (arXiv 2304.02163): how much of an object floats beside it.

The paper's text could not be read by us; from the name, and in words: the share of what is there
that is not connected to its largest part. Of a picture that is area of the opacity mask, of a mesh
area of the surface.
"""

import numpy as np
import torch
from torch import Tensor

from renderers.mesh import Mesh, component_areas

SOLID = 0.5
"""Opacity from which a pixel belongs to the mask."""


def mask_fou(opacity: Tensor) -> Tensor:
    """Share (B,) float64 of each opacity mask (B, H, W) outside its largest component, on the CPU;
    NaN where nothing is solid. Pixels that touch at a corner are connected.

    >>> mask = torch.zeros(1, 5, 5)
    >>> mask[0, :2, :3], mask[0, 4, 3:] = 1, 1
    >>> mask_fou(mask).tolist()
    [0.25]
    """
    from skimage.measure import label

    shares = []
    for mask in (opacity > SOLID).cpu().numpy():
        areas = np.bincount(label(mask, connectivity=2).ravel())[1:]
        shares.append(1 - areas.max() / areas.sum() if len(areas) else np.nan)
    return torch.tensor(shares, dtype=torch.float64)


def mesh_fou(mesh: Mesh | None) -> float:
    """Share of a mesh's surface outside its component of the largest area; NaN without a mesh."""
    if mesh is None:
        return np.nan
    areas = component_areas(mesh)
    return float(1 - areas.max() / areas.sum())
