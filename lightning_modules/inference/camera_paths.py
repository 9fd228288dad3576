"""A camera that flies around a scene, as an MP4 or a GIF."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files import write_atomically
from lightning_modules.pictures.drawing import gif_bytes, mp4_bytes
from models.autoencoder import CanonicalView
from models.scenes import Scenes
from renderers.cameras import Camera
from renderers.renderer import POINTS_PER_CHUNK
from renderers.trajectories import front_arc, orbit, spiral, wiggle

Trajectory = Literal["wiggle", "front_arc", "orbit", "spiral"]
VideoFormat = Literal["mp4", "gif"]


def trajectory_cameras(view: CanonicalView, trajectory: Trajectory, frames: int) -> Camera:
    """Cameras (frames,) of a path around the canonical view; DataError for less than one frame."""
    check_frames(frames)
    match trajectory:
        case "wiggle":
            return view.offset(*wiggle(frames))
        case "front_arc":
            return view.offset(*front_arc(frames))
        case "orbit":
            return view.offset(*orbit(frames))
        case "spiral":
            up = math.pi / 2 - abs(view.pitch)  # as far as the pole
            return view.offset(*spiral(frames, pitch_extent=min(math.pi / 3, up)))


@torch.no_grad()
def render_path(
    scenes: Scenes, camera: Camera, size: int, points_per_chunk: int = POINTS_PER_CHUNK
) -> Iterator[Tensor]:
    """Pictures (3, size, size) on the CPU of the first scene from each of the cameras (V,).

    points_per_chunk: see `Scenes.view`.
    """
    device, first = scenes.planes.device, scenes[:1]
    for index in range(len(camera.cam2world)):
        one = camera[index : index + 1].to(device)
        yield first.view(one, size, size, points_per_chunk).rgb[0].cpu()


def film(
    scenes: Scenes,
    camera: Camera,
    size: int,
    description: str,
    points_per_chunk: int = POINTS_PER_CHUNK,
) -> list[Tensor]:
    """What `render_path` gives, with a progress bar."""
    frames = render_path(scenes, camera, size, points_per_chunk)
    total = len(camera.cam2world)
    return list(track(frames, description=description, total=total))


def check_frames(frames: int) -> None:
    """DataError unless a video can have this many frames."""
    if frames < 1:
        raise DataError(f"frames is {frames}, a video needs at least 1: change --frames.")


def check_size(size: int) -> None:
    """DataError unless pictures can be `size` pixels wide."""
    if size < 1:
        raise DataError(f"size is {size}, it must be at least 1: change --size.")


def check_video(size: int, formats: tuple[VideoFormat, ...], fps: int) -> None:
    """DataError unless pictures of `size` pixels can be encoded in these formats."""
    check_size(size)
    if not formats or fps < 1:
        raise DataError(f"formats is {list(formats)}, fps {fps}: give at least one of each.")
    if "mp4" in formats and size % 2:
        raise DataError(f"size is {size}, an MP4 needs an even one: change --size.")


def write_video(
    frames: list[Tensor], stem: Path, formats: tuple[VideoFormat, ...], fps: int, note: str
) -> list[Path]:
    """Write pictures (3, H, W) as `stem` with the suffix of each format; returns the files."""
    written = []
    for name in formats:
        path = stem.with_name(f"{stem.name}.{name}")
        encode = mp4_bytes if name == "mp4" else gif_bytes
        write_atomically(path, encode(frames, fps, note))
        written.append(path)
    return written
