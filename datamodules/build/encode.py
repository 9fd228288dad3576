"""Compress one modality of one image to the bytes that go into a shard."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from datamodules.modalities import MASK_CODES
from datamodules.rays import unit
from datamodules.rays_file import UNIT_TOLERANCE, VERSION_GRID

_EXACT = 5e-7  # by which lengths of float32 differ from 1 at most
_IS_CODE = np.isin(np.arange(256), MASK_CODES)
# Nodes along each side that rays are thinned out to.
_GRIDS = np.array([1, 2, 3, 5, 9, 13, 17, 25, 33, 49, 65, 97, 129])


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


def encode_depth(disparity: np.ndarray, sparse: bool = False) -> bytes:
    """Encode relative disparity (H, W) uint16, larger is nearer, 0 unknown, as a 16-bit PNG.

    sparse  most pixels are unknown: smaller then, and in a fraction of the time

    Raises ValueError for another type or shape.
    """
    if disparity.dtype != np.uint16 or disparity.ndim != 2:
        raise ValueError(f"depth must be (H, W) uint16, got {disparity.shape} {disparity.dtype}")
    strategy = zlib.Z_RLE if sparse else zlib.Z_DEFAULT_STRATEGY
    return _gray_png(disparity.astype(">u2").view(np.uint8), 16, strategy)


def encode_mask(mask: np.ndarray) -> bytes:
    """Encode mask codes (H, W) uint8 (0, 1, 2, 255) as an 8-bit PNG.

    Raises ValueError for another type, shape or code.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"mask must be (H, W) uint8, got {mask.shape} {mask.dtype}")
    if not _IS_CODE.take(mask).all():
        raise ValueError(f"mask codes must be 0, 1, 2 or 255, got {np.unique(mask).tolist()}")
    return _gray_png(mask, 8)


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
    origins, directions = (np.require(v, np.float32, ["C", "W"]) for v in (origins, directions))
    if not (np.isfinite(origins).all() and np.isfinite(directions).all()):
        raise ValueError("rays must be finite")
    x, y, z = np.moveaxis(directions, 2, 0)
    lengths = np.sqrt(x * x + y * y + z * z)  # the quickest, and its bits do not follow threads
    off = np.abs(lengths - 1).max(initial=0.0)
    if off > UNIT_TOLERANCE:
        raise ValueError(
            f"directions must be of length 1, got {lengths.min():g} to {lengths.max():g}"
        )
    directions = directions if off < _EXACT else unit(directions)
    # numba takes a while to import, which other images are spared.
    from datamodules.build.ray_kernels import thin_out

    buffer = io.BytesIO()
    np.savez(
        buffer,
        version=np.int32(VERSION_GRID),
        size=np.array(origins.shape[:2], np.int32),
        origins=thin_out(origins, _GRIDS, origin_tolerance, False),
        directions=thin_out(directions, _GRIDS, direction_tolerance, True),
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


def _gray_png(rows: np.ndarray, bit_depth: int, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """Write a grey PNG (ISO/IEC 15948) with unfiltered rows; rows (H, bytes a row) uint8.

    Unfiltered rows decode up to twice as fast as the filters a general encoder picks, at about
    the same size for sensor depth and masks (docs/shards.md).
    """
    height, row_bytes = rows.shape
    unfiltered = np.zeros((height, row_bytes + 1), np.uint8)
    unfiltered[:, 1:] = rows
    width = row_bytes * 8 // bit_depth
    header = struct.pack(">IIBBBBB", width, height, bit_depth, 0, 0, 0, 0)
    packer = zlib.compressobj(6, strategy=strategy)
    data = packer.compress(unfiltered.tobytes()) + packer.flush()
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
