"""Separable linear maps of channels-last images on CPU, given by tables of taps along each axis."""

from dataclasses import dataclass
from math import gcd

import numpy as np
from torch import Tensor

from renderers.cpu.openmp import launch
from renderers.dispatch import kernels

KERNELS = "models.blocks.cpu.separable_kernel"

LARGEST_BLOCK = 32
"""Channels that a kernel holds at once."""


@dataclass(frozen=True, eq=False)
class Taps:
    """A linear map along one axis: result[i] = sum_k weights[i, k] x[sources[i, k]].

    sources, weights: (N, taps) int64 and float32. Where a source is outside, another one stands
    with weight zero. places: (N,) int64, where result i lies. All lie in units of the axis.
    """

    sources: np.ndarray
    weights: np.ndarray
    places: np.ndarray

    @staticmethod
    def of(sources: np.ndarray, weights: np.ndarray, size: int) -> "Taps":
        """Taps with zero padding of an axis of `size`, and results in a row."""
        inside = (sources >= 0) & (sources < size)
        places = np.arange(len(sources), dtype=np.int64)
        return Taps(
            sources.clip(0, size - 1).astype(np.int64),
            np.where(inside, weights, 0).astype(np.float32),
            places,
        )

    def strided(self, source: int, place: int) -> "Taps":
        """The same map where a step along the axis is `source` elements, of the result `place`."""
        return Taps(self.sources * source, self.weights, self.places * place)


def filter_separably(x: Tensor, out: Tensor, rows: Taps, columns: Taps) -> None:
    """Write the map `rows` x `columns` of images x to `out`, both contiguous (B, ..., C), of one
    type, float32 or bfloat16.

    The sources and places of `rows` and `columns` are in elements and add up to the first channel
    of a pixel of an image.
    """
    channels, itemsize = x.shape[-1], x.itemsize
    kernel = kernels(KERNELS).separable_kernel(
        rows.sources.shape[1], gcd(channels, LARGEST_BLOCK), itemsize
    )
    tables = (rows.sources, rows.weights, columns.sources, columns.weights)
    launch(
        kernel,
        len(x) * len(rows.places),
        len(rows.places),
        len(columns.places),
        channels,
        x[0].numel(),
        out[0].numel(),
        *(table.ctypes.data for table in (*tables, rows.places, columns.places)),
        x.data_ptr(),
        out.data_ptr(),
    )
