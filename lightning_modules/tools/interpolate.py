"""`wild3d interpolate`: from one photograph to another through the codes between them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.drawing import colorize, sheet, write_png
from lightning_modules.labels import labelled
from lightning_modules.tools.camera_paths import VideoFormat, check_video, write_video
from lightning_modules.tools.photographs import find_images, load_square
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.scene_makers import open_stage1
from models.autoencoder import TokenAutoencoder
from models.scenes import View


def interpolate(
    checkpoint: str,
    images: tuple[str, ...],
    out: str = "outputs/interpolate",
    steps: int = 7,
    frames: int = 48,
    fps: int = 24,
    formats: tuple[VideoFormat, ...] = ("mp4", "gif"),
    size: int = 256,
    stage1: str | None = None,
    device: str = "cpu",
) -> None:
    """Go from one photograph to another: the code of every token moves along the arc to its goal.

    Args:
        checkpoint: of stage 1, or of a prior, whose stage-1 model is used.
        images: two photographs, e.g. a.jpg b.jpg.
        out: folder for A-to-B-sheet.png, image above disparity, and the video A-to-B.mp4.
        steps: columns of the sheet.
        frames: of the video, both photographs among them.
        fps: frames per second; a GIF rounds the time of a frame to 1/100 s.
        formats: of the video, mp4, gif or both.
        size: side of the pictures in pixels, even for mp4.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute, e.g. cuda.
    """
    check_video(size, formats, fps)
    if min(steps, frames) < 2:
        raise DataError(f"steps is {steps}, frames {frames}: both photographs take at least 2.")
    paths = find_images(list(images))
    if len(paths) != 2:
        raise DataError(f"--images names {len(paths)} photographs, interpolation is between 2.")
    model = open_stage1(checkpoint, stage1, device)
    ends = [photo_tokens(model, path, device) for path in paths]
    stem, note = Path(out) / "-to-".join(path.stem for path in paths), made_now(checkpoint).note()
    shares = even_shares(steps)
    views = list(track(views_between(model, ends, shares, size), "sheet", steps))
    columns = [torch.cat([view.rgb, colorize(view.disparity)]).cpu() for view in views]
    names = [f"{share:.0%}" for share in shares]
    picture = labelled(sheet(columns), ["image", "disparity"], names)
    path = stem.with_name(f"{stem.name}-sheet.png")
    write_png(path, picture, note)
    moving = views_between(model, ends, even_shares(frames), size)
    film = [view.rgb[0].cpu() for view in track(moving, "video", frames)]
    for written in [path, *write_video(film, stem, formats, fps, note)]:
        print(written)


def even_shares(count: int) -> list[float]:
    """Numbers from 0 to 1, both exactly among them."""
    return [index / (count - 1) for index in range(count)]


@torch.no_grad()
def photo_tokens(model: TokenAutoencoder, path: Path, device: str) -> Tensor:
    """Tokens (1, T) of a photograph's central square."""
    return model.encode(load_square(path, model.resolution).to(device)).tokens


@torch.no_grad()
def views_between(
    model: TokenAutoencoder, ends: Sequence[Tensor], shares: Sequence[float], size: int
) -> Iterator[View]:
    """Canonical views of the scenes at shares of the way between two token grids (1, T)."""
    for share in shares:
        scenes = model.decode(model.blend(ends[0], ends[1], share))
        yield scenes.view(scenes.canonical, size, size)
