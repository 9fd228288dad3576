"""Encoder of rays as Waymo's codec packs them, written from the description of the format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class RayEncoder:
    """Encoder of rays by principal components."""

    tile: int
    mean: np.ndarray
    std: np.ndarray
    vectors: np.ndarray
    steps: np.ndarray

    @classmethod
    def fit(
        cls, rays: Sequence[np.ndarray], components: int = 12, tile: int = 8, levels: int = 20000
    ) -> RayEncoder:
        """Fit to rays (H, W, 6)."""
        tiles = np.concatenate([cls.tiles(each, tile)[1] for each in rays])
        mean, std = tiles.mean(0), tiles.std(0) + 1e-12
        vectors = np.linalg.svd((tiles - mean) / std, full_matrices=False)[2][:components]
        found = cls(tile, mean, std, vectors, np.ones(len(vectors)))
        found.steps = np.abs(found.coefficients(tiles)).max(0) / levels + 1e-12
        return found

    @staticmethod
    def tiles(rays: np.ndarray, tile: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean ray (6,), and offsets from it (tiles, tile² · 6), reflected beyond the edges."""
        reference = rays.reshape(-1, 6).mean(0).astype(np.float32)
        height, width = rays.shape[:2]
        padding = (0, -height % tile), (0, -width % tile), (0, 0)
        offsets = np.pad(rays - reference, padding, mode="reflect").astype(np.float64)
        rows, columns = offsets.shape[0] // tile, offsets.shape[1] // tile
        parts = offsets.reshape(rows, tile, columns, tile, 6).swapaxes(1, 2)
        return reference, parts.reshape(rows * columns, -1)

    def coefficients(self, tiles: np.ndarray) -> np.ndarray:
        return ((tiles - self.mean) / self.std) @ self.vectors.T

    def encode(self, rays: np.ndarray) -> dict[str, Any]:
        reference, tiles = self.tiles(rays, self.tile)
        quantized = np.rint(self.coefficients(tiles) / self.steps).astype(np.int32)
        shape = list(rays.shape)
        return {"reference": reference, "quantized_values": quantized.ravel(), "shape": shape}

    def config(self) -> dict[str, Any]:
        pca = {"mean": self.mean.tolist(), "std": self.std.tolist()}
        pca |= {"eigen_vectors": self.vectors.tolist(), "eigen_values": [1.0] * len(self.steps)}
        return {"pca": pca, "quantization": self.steps.tolist(), "tile_size": self.tile}
