"""Geometry of a crop that is resized to a square: image, labels, distances and rays alike."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from PIL import Image

from datamodules.build.ray_kernels import resize_vectors

_NARROW = 0.1  # least cosine of a ray to the middle one
_SLOPE_PIXELS = 16  # over which the slope at an edge is taken: over one, noise would grow


class Square:
    """The smallest square round the middle of a crop, `resolution` pixels a side.

    Where it is larger than the crop, image colours are those of the nearest pixel and rays go on
    linearly.
    """

    def __init__(self, height: int, width: int, resolution: int) -> None:
        self.height, self.width, self.resolution = height, width, resolution
        self.side = max(height, width)
        self.top, self.left = (self.side - height) // 2, (self.side - width) // 2
        centres = (np.arange(resolution) + 0.5) * (self.side / resolution) - 0.5
        # Centres of the new pixels, in pixels of the crop: 0 is the centre of its first.
        self.rows, self.columns = centres - self.top, centres - self.left

    def image(self, pixels: Image.Image) -> np.ndarray:
        """Colours (r, r, 3) uint8 of the crop's RGB, antialiased."""
        if self.height != self.width:
            bottom = self.side - self.height - self.top
            right = self.side - self.width - self.left
            sides = ((self.top, bottom), (self.left, right), (0, 0))
            pixels = Image.fromarray(np.pad(np.asarray(pixels), sides, mode="edge"))
        size = (self.resolution, self.resolution)
        return np.asarray(pixels.resize(size, Image.Resampling.BICUBIC))

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """Values (r, r) of the nearest pixels of a map (H, W); see `inside`."""
        rows, columns = self._nearest
        return values[rows][:, columns]  # a sixth of the time of one index of both

    @cached_property
    def inside(self) -> np.ndarray:
        """Whether pixels (r, r) lie in the crop."""
        rows = (self.rows >= -0.5) & (self.rows < self.height - 0.5)
        columns = (self.columns >= -0.5) & (self.columns < self.width - 0.5)
        found: np.ndarray = rows[:, None] & columns
        return found

    @cached_property
    def _nearest(self) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.floor(self.rows + 0.5), np.floor(self.columns + 0.5)
        rows, columns = np.clip(rows, 0, self.height - 1), np.clip(columns, 0, self.width - 1)
        return rows.astype(np.intp), columns.astype(np.intp)

    def scattered(self, distances: np.ndarray) -> np.ndarray:
        """Distances (r, r) float32 of a sparse map (H, W), 0 unknown: each goes to the pixel that
        its centre falls into, the nearest of several stays. Outside, see `inside`, none is known,
        though pixels there may reach into the crop."""
        known = np.flatnonzero(distances > 0)
        rows, columns = np.divmod(known, self.width)
        scale = self.resolution / self.side
        to_row = ((rows + self.top + 0.5) * scale).astype(np.intp)
        to_column = ((columns + self.left + 0.5) * scale).astype(np.intp)
        found = np.full(self.resolution**2, np.inf, np.float32)
        places = to_row * self.resolution + to_column
        np.minimum.at(found, places, distances.ravel()[known])
        found[np.isinf(found) | ~self.inside.ravel()] = 0
        return found.reshape(self.resolution, self.resolution)

    def origins(self, vectors: np.ndarray) -> np.ndarray:
        """Origins (r, r, 3) float32 at the centres of the new pixels of a map (H, W, 3)."""
        return self._resized(vectors, np.zeros(3, np.float32))

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        """The same of directions, of length 1; those of a pinhole camera are exact.

        Raises ValueError if they are a right angle apart or more.
        """
        axis = vectors[self.height // 2, self.width // 2]
        if not (vectors @ axis).min() >= _NARROW:
            raise ValueError("directions are a right angle apart, or nearly")
        return self._resized(vectors, axis)

    def _resized(self, vectors: np.ndarray, axis: np.ndarray) -> np.ndarray:
        rows, columns = _between(self.rows, self.height), _between(self.columns, self.width)
        return resize_vectors(vectors, *rows, *columns, axis)


def _between(positions: np.ndarray, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two of the pixels along an axis for each position, and the weight of the second: neighbours
    inside, those that the slope is taken of beyond an edge, where weights are outside [0, 1]."""
    last = pixels - 1
    reach = min(last, _SLOPE_PIXELS)
    below, above = positions < 0, positions > last
    low = np.clip(positions, 0, max(last - 1, 0)).astype(np.intp)
    low = np.where(above, last - reach, low)
    high = np.where(below | above, low + reach, np.minimum(low + 1, last))
    weights = (positions - low) / np.maximum(high - low, 1)
    return low, high, weights.astype(np.float32)
