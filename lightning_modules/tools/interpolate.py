"""`wild3d interpolate`: from one photograph to another through the codes between them, or from one
scene of a GAN to another."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import torch
from rich.progress import track

from datamodules.ranges import Range
from lightning_modules.inference.camera_paths import VideoFormat, check_video, write_video
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.limits import (
    Device,
    DrawnSeed,
    FramesPerSecond,
    Pixels,
    Truncation,
)
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_choice import Passage, SceneChoice
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import colored_disparity, sheet, write_png
from models.scenes import View


def interpolate(
    checkpoint: str,
    images: tuple[str, ...] = (),
    out: str = "outputs/interpolate",
    steps: Annotated[int, Range(2, 1000)] = 7,
    frames: Annotated[int, Range(2, 10_000)] = 48,
    fps: FramesPerSecond = 24,
    formats: tuple[VideoFormat, ...] = ("mp4", "gif"),
    size: Pixels = 256,
    classes: tuple[str, ...] = (),
    seeds: tuple[DrawnSeed, ...] | None = None,
    truncation: Truncation | None = None,
    stage1: str | None = None,
    device: Device = AUTO,
) -> None:
    """Go from one photograph to another: the code of every token moves along the arc to its goal.

    Of a GAN, go from the scene of one class and seed to another: the mapped latent moves along the
    line between theirs.

    Args:
        checkpoint: of stage 1, or of a prior, whose stage-1 model is used; or of a GAN.
        images: two photographs, e.g. a.jpg b.jpg.
        out: folder for A-to-B-sheet.png, image above disparity, and the video A-to-B.mp4.
        steps: columns of the sheet.
        frames: of the video, both ends among them.
        fps: frames per second; a GIF rounds the time of a frame to 1/100 s.
        formats: of the video, mp4, gif or both.
        size: side of the pictures in pixels, even for mp4.
        classes: of a GAN's scenes, e.g. chair mug; one for both ends, or two.
        seeds: of a GAN's scenes, one for both ends, or two; by default 0,1.
        truncation: of a GAN's latents, as in `wild3d sample`.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
    """
    device = chosen_device(device)
    check_video(size, formats, fps)
    maker = open_maker(checkpoint, stage1, SamplingOptions(truncation=truncation), device)
    passage = maker.between(SceneChoice(images, classes, seeds))
    stem = Path(out) / "-to-".join(passage.names)
    note = made_now(checkpoint).note(*passage.seeds)
    shares = even_shares(steps)
    views = list(track(views_between(passage, shares, size), "sheet", steps))
    columns = [torch.cat([view.rgb, colored_disparity(view)]).cpu() for view in views]
    picture = labelled(sheet(columns), ["image", "disparity"], [f"{share:.0%}" for share in shares])
    path = stem.with_name(f"{stem.name}-sheet.png")
    write_png(path, picture, note)
    moving = views_between(passage, even_shares(frames), size)
    film = [view.rgb[0].cpu() for view in track(moving, "video", frames)]
    for written in [path, *write_video(film, stem, formats, fps, note)]:
        print(written)


def even_shares(count: int) -> list[float]:
    """Numbers from 0 to 1, both exactly among them."""
    return [index / (count - 1) for index in range(count)]


@torch.no_grad()
def views_between(passage: Passage, shares: Sequence[float], size: int) -> Iterator[View]:
    """Canonical views of the scenes at shares of the way."""
    for share in shares:
        scenes = passage.scene_at(share)
        yield scenes.view(scenes.canonical, size, size)
