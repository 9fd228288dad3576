"""Compress one modality of one image to the bytes that go into a shard."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from datamodules.rays import resample, unit
from datamodules.rays_file import UNIT_TOLERANCE, VERSION_GRID

_GRIDS = (1, 2, 3, 5, 9, 17, 33, 65, 129)  # nodes along each side that rays are thinned out to


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """Encode (H, W, 3) uint8 as a JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_png(image: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def encode_depth(disparity: np.ndarray) -> bytes:
    """Encode relative disparity (H, W) uint16, larger is nearer, 0 unknown, as a 16-bit PNG.

    Raises ValueError for another type or shape.
    """
    if disparity.dtype != np.uint16 or disparity.ndim != 2:
        raise ValueError(f"depth must be (H, W) uint16, got {disparity.shape} {disparity.dtype}")
    return _gray_png(disparity.astype(">u2").view(np.uint8), bit_depth=16)


def encode_mask(mask: np.ndarray) -> bytes:
    """Encode mask codes (H, W) uint8 (0, 1, 2, 255) as an 8-bit PNG.

    Raises ValueError for another type, shape or code.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"mask must be (H, W) uint8, got {mask.shape} {mask.dtype}")
    if not np.isin(mask, (0, 1, 2, 255)).all():
        raise ValueError(f"mask codes must be 0, 1, 2 or 255, got {np.unique(mask).tolist()}")
    return _gray_png(mask, bit_depth=8)


def encode_camera(cam2world: np.ndarray, intrinsics: np.ndarray) -> bytes:
    """Encode a camera, cam2world (4, 4) and normalised intrinsics (3, 3), as a rays file.

    Raises ValueError for another shape.
    """
    if cam2world.shape != (4, 4) or intrinsics.shape != (3, 3):
        raise ValueError(
            f"camera must be (4, 4) and (3, 3), got {cam2world.shape} and {intrinsics.shape}"
        )
    buffer = io.BytesIO()
    np.savez(
        buffer, cam2world=cam2world.astype(np.float32), intrinsics=intrinsics.astype(np.float32)
    )
    return buffer.getvalue()


def encode_rays(
    origins: np.ndarray,
    directions: np.ndarray,
    origin_tolerance: float = 1e-4,
    direction_tolerance: float = 1e-5,
) -> bytes:
    """Encode the rays of all pixels, origins and unit directions (H, W, 3), as a rays file.

    Each is thinned out to the coarsest grid that gives it back within its tolerance, origins in
    their unit of length, directions in radians. What no grid gives back is stored in full.

    Raises ValueError for other shapes, numbers that are not finite, and directions whose length is
    not 1.
    """
    if origins.shape != directions.shape or origins.ndim != 3 or origins.shape[2] != 3:
        raise ValueError(f"rays must be (H, W, 3), got {origins.shape} and {directions.shape}")
    origins, directions = origins.astype(np.float32), directions.astype(np.float32)
    if not (np.isfinite(origins).all() and np.isfinite(directions).all()):
        raise ValueError("rays must be finite")
    lengths = np.linalg.norm(directions, axis=-1)
    if not np.allclose(lengths, 1.0, rtol=0.0, atol=UNIT_TOLERANCE):
        raise ValueError(
            f"directions must be of length 1, got {lengths.min():g} to {lengths.max():g}"
        )
    buffer = io.BytesIO()
    np.savez(
        buffer,
        version=np.int32(VERSION_GRID),
        size=np.array(origins.shape[:2], np.int32),
        origins=_thinned(origins, origin_tolerance),
        directions=_thinned(unit(directions), direction_tolerance, unit),
    )
    return buffer.getvalue()


def encode_tokens(views: np.ndarray, codes: int) -> bytes:
    """Encode tokens (V, T) of an image, integers below `codes`, as an npy of uint16 or uint32.

    Raises ValueError for another shape or a token out of range.
    """
    if views.ndim != 2 or views.size == 0 or views.min() < 0 or views.max() >= codes:
        raise ValueError(f"tokens must be (V, T) from 0 to {codes - 1}, got {views.shape} {views}")
    buffer = io.BytesIO()
    np.save(buffer, views.astype(np.uint16 if codes <= 65536 else np.uint32))
    return buffer.getvalue()


def _thinned(
    pixels: np.ndarray,
    tolerance: float,
    constrained: Callable[[np.ndarray], np.ndarray] = lambda vectors: vectors,
) -> np.ndarray:
    """The coarsest of `_GRIDS` that gives the vectors of pixels (H, W, 3) back within `tolerance`.

    constrained  what is done to interpolated vectors
    """
    size = pixels.shape[:2]
    rows, columns = (np.arange(side) for side in size)
    for nodes in _GRIDS:
        spread = (np.linspace(0, side - 1, min(nodes, side)) for side in size)
        grid = constrained(resample(pixels, size, *spread))
        errors = constrained(resample(grid, size, rows, columns)) - pixels
        if np.linalg.norm(errors, axis=-1).max() <= tolerance:
            return grid
    return pixels


def _gray_png(rows: np.ndarray, bit_depth: int) -> bytes:
    """Write a grey PNG (ISO/IEC 15948) with unfiltered rows; rows (H, bytes a row) uint8.

    Unfiltered rows decode up to twice as fast as the filters a general encoder picks, at about
    the same size for sensor depth and masks (docs/shards.md).
    """
    height, row_bytes = rows.shape
    unfiltered = np.zeros((height, row_bytes + 1), np.uint8)
    unfiltered[:, 1:] = rows
    width = row_bytes * 8 // bit_depth
    header = struct.pack(">IIBBBBB", width, height, bit_depth, 0, 0, 0, 0)
    data = zlib.compress(unfiltered.tobytes(), 6)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
