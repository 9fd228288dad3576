"""Pictures for people: colour maps, sheets of tiles, PNG, GIF and MP4 files."""

import io
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from datamodules.files import write_atomically
from models.scenes import View
from renderers.mesh import NOTE_KEY


@dataclass(frozen=True)
class Pictures:
    """One picture, or the frames of an animation: tensors (3, H, W) in [0, 1], and a name."""

    name: str
    frames: list[Tensor]


GAP = 2
"""Pixels between the tiles of a sheet."""

_COLOR_KNOTS = (
    (0.05, 0.03, 0.20),
    (0.35, 0.05, 0.45),
    (0.70, 0.20, 0.40),
    (0.95, 0.50, 0.20),
    (1.00, 0.95, 0.60),
)


def colorize(disparity: Tensor, known: Tensor | None = None) -> Tensor:
    """Disparity (B, H, W) as colours (B, 3, H, W) in [0, 1], dark violet far to pale yellow near.

    Each image is stretched between the 1st and 99th percentile of its known pixels; unknown pixels
    are grey.
    """
    counted = disparity.float() if known is None else disparity.where(known, torch.nan).float()
    low, high = (counted.flatten(1).nanquantile(q, 1)[:, None, None] for q in (0.01, 0.99))
    share = ((disparity - low) / (high - low).clamp(min=1e-6)).nan_to_num().clamp(0, 1)
    knots = disparity.new_tensor(_COLOR_KNOTS, dtype=torch.float32)
    position = share * (len(knots) - 1)
    left = position.long().clamp(max=len(knots) - 2)
    colors = torch.lerp(knots[left], knots[left + 1], (position - left)[..., None])
    if known is not None:
        colors = torch.where(known[..., None], colors, 0.5)
    return colors.permute(0, 3, 1, 2)


def colored_disparity(view: View) -> Tensor:
    """`colorize` of a view's disparity, (B, 3, H, W), grey where one sees through the scene."""
    return colorize(view.disparity, view.opacity > 0.5)


def sheet(columns: list[Tensor]) -> Tensor:
    """Tile columns of images (B, 3, H, W), one row an image, as a picture (3, H', W') in [0, 1]."""
    tiles = torch.stack(columns, 1).clamp(0, 1)  # (B, columns, 3, H, W)
    padded = torch.nn.functional.pad(tiles, (0, GAP, 0, GAP), value=1.0)
    return torch.cat([torch.cat(list(row), -1) for row in padded], -2)


def to_uint8(picture: Tensor) -> np.ndarray:
    """A picture (3, H, W) in [0, 1] as an array (H, W, 3) uint8."""
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def write_png(path: Path, picture: Tensor, note: str | None = None) -> None:
    """Write a picture (3, H, W) in [0, 1], making its folder; the file appears whole or not.

    note: ASCII text to store under the key `NOTE_KEY`.
    """
    text = PngInfo()
    if note is not None:
        text.add_text(NOTE_KEY, note)
    data = iio.imwrite("<bytes>", to_uint8(picture), extension=".png", pnginfo=text)
    write_atomically(path, data)


def gif_bytes(
    frames: list[Tensor], frames_per_second: float = 8.0, note: str | None = None
) -> bytes:
    """Encode pictures (3, H, W) in [0, 1] as an endless GIF.

    note: ASCII text to store as its comment, after `NOTE_KEY`.
    """
    buffer = io.BytesIO()
    arrays = [to_uint8(frame) for frame in frames]
    comment = b"" if note is None else f"{NOTE_KEY} {note}".encode()
    duration = 1000 / frames_per_second
    iio.imwrite(buffer, arrays, extension=".gif", duration=duration, loop=0, comment=comment)
    return buffer.getvalue()


def mp4_bytes(frames: list[Tensor], frames_per_second: int = 24, note: str | None = None) -> bytes:
    """Encode pictures (3, H, W) in [0, 1], H and W even, as an H.264 video.

    note: ASCII text to store as its comment, after `NOTE_KEY`.
    """
    arrays = np.stack([to_uint8(frame) for frame in frames])
    with iio.imopen("<bytes>", "w", extension=".mp4", plugin="pyav") as file:
        if note is not None:
            file.container_metadata["comment"] = f"{NOTE_KEY} {note}"
        data = file.write(arrays, codec="libx264", fps=frames_per_second)
    assert data is not None  # it is where the file is "<bytes>"
    return data
