"""Decoder of Waymo's compressed rays: quantised principal components of square tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.build.waymo.tables import RowError
from datamodules.errors import DataError, first_line
from datamodules.json_values import as_object, parse_json

CHANNELS = 6  # origin and direction of a ray
_MAX_TILE = 256
_STRIDE = 7  # of the lines whose roughness is measured


@dataclass(frozen=True)
class RayCodec:
    """What codec_config.json says, for P components and tiles of T = `tile_size` rows of N = 6 T
    numbers.

    steps       (P,) float64       quantisation steps of the components
    components  (T, P, N) float32  principal components, times the numbers' standard deviations
    mean        (T, 1, N) float32  mean tile, relative to the reference

    Numbers are offsets from the mean ray, below 1 for the size of an object, so that float32 adds
    them up to 1e-7.
    """

    tile_size: int
    steps: np.ndarray
    components: np.ndarray
    mean: np.ndarray

    def decode(
        self, reference: np.ndarray, quantized: np.ndarray, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Origins and directions (H, W, 3) float32.

        Args:
            reference: (6,), added to all rays.
            quantized: (tiles · P,) integers, tiles row by row.
            shape: H, W, 6.

        Raises RowError if they do not fit together.
        """
        if len(shape) < 2 or min(shape) < 1 or reference.shape != (CHANNELS,):
            raise RowError(f"compressed rays have a wrong shape ({shape.tolist()})")
        height, width = (int(side) for side in shape[:2])
        size = self.tile_size
        rows, columns = -(-height // size), -(-width // size)
        if quantized.size != rows * columns * len(self.steps):
            raise RowError(
                f"compressed rays have another size than their shape ({quantized.size} numbers, "
                f"{height} x {width})"
            )
        # The mean is one more component, always of weight 1. The product of each row of pixels in
        # the tiles lies where it belongs in the image: far quicker than to move whole tiles there.
        weights = np.ones((rows, 1, columns, len(self.steps) + 1), np.float32)
        offset = self.mean + np.tile(reference.astype(np.float32), (size, 1, size))
        with np.errstate(over="ignore", invalid="ignore"):  # such rays are told by who uses them
            weights[:, 0, :, :-1] = quantized.reshape(rows, columns, -1) * self.steps
            lines = weights @ np.concatenate([self.components, offset], axis=1)
        rays = lines.reshape(rows * size, columns * size, CHANNELS)[:height, :width]
        return rays[..., :3], rays[..., 3:]


def roughness(directions: np.ndarray) -> float:
    """By how much, in radians, decoded directions (H, W, 3) are off: the largest bend between three
    neighbours, as where two tiles meet. A camera's own directions have none."""
    axis = directions[directions.shape[0] // 2, directions.shape[1] // 2]
    bends = [0.0]
    for lines in (directions[::_STRIDE], directions[:, ::_STRIDE].swapaxes(0, 1)):
        plane = lines / (lines @ axis)[..., None]
        bend = plane[:, 1:-1] - (plane[:, 2:] + plane[:, :-2]) / 2
        bends.append(float(np.einsum("hwi,hwi->hw", bend, bend).max(initial=0.0)))
    return float(np.sqrt(max(bends)))


def read_codec(path: Path) -> RayCodec:
    """The codec of a folder of compressed rays from its codec_config.json.

    Raises DataError if there is none or it is malformed.
    """
    try:
        config = as_object(parse_json(path.read_bytes()), "it")
        return _parsed(config, as_object(config["pca"], "pca"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing: download it with the compressed rays, or take the folder away."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else first_line(error)
        raise DataError(f"{path} is no codec of rays ({reason}): download it anew.") from error


def _parsed(config: Mapping[str, Any], pca: Mapping[str, Any]) -> RayCodec:
    size = config["tile_size"]
    if not isinstance(size, int) or not 1 <= size <= _MAX_TILE:
        raise ValueError(f"tile_size is not from 1 to {_MAX_TILE}")
    numbers = size * size * CHANNELS
    steps = _array(config, "quantization", (-1,))
    mean, std = (_array(pca, name, (numbers,)) for name in ("mean", "std"))
    vectors = _array(pca, "eigen_vectors", (len(steps), numbers))
    components = (vectors * std).reshape(len(steps), size, -1).swapaxes(0, 1)
    rows = mean.reshape(size, 1, -1)
    return RayCodec(size, steps, components.astype(np.float32), rows.astype(np.float32))


def _array(values: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Finite numbers of a shape, of which -1 is any side above 0; ValueError if they are not."""
    found = np.array(values[name], np.float64)
    fits = found.ndim == len(shape) and all(
        side == wanted or (wanted == -1 and side > 0)
        for side, wanted in zip(found.shape, shape, strict=False)
    )
    if not fits or not np.isfinite(found).all():
        raise ValueError(f"{name} is {found.shape}, not finite numbers of {shape}")
    return found
