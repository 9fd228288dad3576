"""Maps of depth and of disparity as the 16 bits that shards hold; 0 is unknown."""

from __future__ import annotations

import numpy as np

from datamodules.modalities import DISPARITY_MAX, DISPARITY_UNKNOWN

_NEAREST_PERCENTILE = 99.9


def to_disparity(depth: np.ndarray) -> np.ndarray:
    """Relative disparity (H, W) uint16 of a depth map (H, W) in any unit of length.

    Disparity is 1 / z, scaled as by `scaled_disparity`. What is not above 0, or not finite, is
    unknown.
    """
    known = np.isfinite(depth) & (depth > 0)
    disparity = np.zeros(depth.shape)
    disparity[known] = 1 / depth[known].astype(np.float64)
    return scaled_disparity(disparity)


def scaled_disparity(disparity: np.ndarray) -> np.ndarray:
    """Relative disparity (H, W) uint16 of a map (H, W) of disparities that are true up to a factor.

    The nearest surface becomes 65535: the 99.9th percentile of the known pixels, because sensors
    report a few that are far too near. Known pixels are at least 1. What is not above 0, or not
    finite, is unknown.
    """
    known = np.isfinite(disparity) & (disparity > 0)
    if not known.any():
        return np.full(disparity.shape, DISPARITY_UNKNOWN, np.uint16)
    nearest = np.percentile(disparity[known], _NEAREST_PERCENTILE)
    share = np.where(known, disparity, 0).astype(np.float64) / nearest
    scaled = np.clip(np.rint(share * DISPARITY_MAX), 1, DISPARITY_MAX)
    return np.where(known, scaled, DISPARITY_UNKNOWN).astype(np.uint16)


def stretched_disparity(values: np.ndarray) -> np.ndarray:
    """Relative disparity (H, W) uint16 of a map (H, W) of disparities that are true up to a factor
    and an offset, as networks trained on them give: the least becomes 1, the largest 65535.

    Numbers may be negative. What is not finite is unknown.

    Raises:
        ValueError: nothing is finite, or all is the same: it says nothing about depth.
    """
    known = np.isfinite(values)
    if not known.any():
        raise ValueError("its disparity is nowhere finite")
    low, high = values[known].min(), values[known].max()
    if low == high:
        raise ValueError(f"its disparity is {low:g} everywhere")
    share = (np.where(known, values, low).astype(np.float64) - low) / (float(high) - float(low))
    scaled = 1 + np.rint(share * (DISPARITY_MAX - 1))
    return np.where(known, scaled, DISPARITY_UNKNOWN).astype(np.uint16)
