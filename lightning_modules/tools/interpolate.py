"""`wild3d interpolate`: from one photograph to another through the codes between them, or from one
scene of a GAN to another."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.camera_paths import VideoFormat, check_video, write_video
from lightning_modules.inference.classes import ALL, class_labels, scene_name
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.photographs import find_images, load_square
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_choice import distinct_seeds
from lightning_modules.inference.scene_makers import autoencoder_of, open_maker
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import colored_disparity, sheet, write_png
from models.autoencoder import TokenAutoencoder
from models.scenes import Scenes, View

Way = Callable[[float], Scenes]
"""The scene (1) at a share of the way between two."""

SEEDS = (0, 1)
"""Of a GAN's scenes by default."""


def interpolate(
    checkpoint: str,
    images: tuple[str, ...] = (),
    out: str = "outputs/interpolate",
    steps: int = 7,
    frames: int = 48,
    fps: int = 24,
    formats: tuple[VideoFormat, ...] = ("mp4", "gif"),
    size: int = 256,
    classes: tuple[str, ...] = (),
    seeds: tuple[int, ...] | None = None,
    truncation: float | None = None,
    stage1: str | None = None,
    device: str = "cpu",
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
        device: where to compute, e.g. cuda.
    """
    check_video(size, formats, fps)
    if min(steps, frames) < 2:
        raise DataError(f"steps is {steps}, frames {frames}: both ends take at least 2.")
    maker = open_maker(checkpoint, stage1, SamplingOptions(truncation=truncation), device)
    if isinstance(maker, GANScenes) and not images:
        drawn = SEEDS if seeds is None else seeds
        names, way = _between_latents(maker, classes, drawn)
    else:
        model, drawing = autoencoder_of(maker), {"classes": classes or None, "seeds": seeds}
        check_unused(drawing | {"truncation": truncation}, "only of a GAN are scenes drawn")
        drawn = ()
        names, way = _between_photos(model, images, device)
    stem, note = Path(out) / "-to-".join(names), made_now(checkpoint).note(*drawn)
    shares = even_shares(steps)
    views = list(track(views_between(way, shares, size), "sheet", steps))
    columns = [torch.cat([view.rgb, colored_disparity(view)]).cpu() for view in views]
    picture = labelled(sheet(columns), ["image", "disparity"], [f"{share:.0%}" for share in shares])
    path = stem.with_name(f"{stem.name}-sheet.png")
    write_png(path, picture, note)
    moving = views_between(way, even_shares(frames), size)
    film = [view.rgb[0].cpu() for view in track(moving, "video", frames)]
    for written in [path, *write_video(film, stem, formats, fps, note)]:
        print(written)


def even_shares(count: int) -> list[float]:
    """Numbers from 0 to 1, both exactly among them."""
    return [index / (count - 1) for index in range(count)]


def _between_photos(
    model: TokenAutoencoder, images: Sequence[str], device: str
) -> tuple[list[str], Way]:
    """Names of two photographs, and the scenes between theirs."""
    paths = find_images(list(images))
    if len(paths) != 2:
        raise DataError(f"--images names {len(paths)} photographs, interpolation is between 2.")
    first, second = (photo_tokens(model, path, device) for path in paths)
    names = [path.stem for path in paths]
    return names, lambda share: model.decode(model.blend(first, second, share))


def _between_latents(
    maker: GANScenes, classes: Sequence[str], seeds: Sequence[int]
) -> tuple[list[str], Way]:
    """Names of a GAN's scenes of two classes and seeds, and the scenes between them.

    Raises:
        DataError: they are not two, or no class is named where there are some.
    """
    if maker.classes and not classes:
        raise DataError(f"{maker.checkpoint} is of a GAN: give one or two --classes.")
    labels = class_labels(classes or [ALL], maker.classes, maker.names)
    maker.check_options(labels, SamplingOptions())
    numbers = distinct_seeds(seeds)
    if max(len(labels), len(numbers)) != 2:
        raise DataError(
            f"{len(labels)} classes and {len(numbers)} seeds are given: interpolation is between "
            "two of either, or of both."
        )
    ends = [(labels[end % len(labels)], numbers[end % len(numbers)]) for end in (0, 1)]
    first, second = maker.mapped(*zip(*ends, strict=True)).split(1)
    names = [scene_name(label, seed, maker.names) for label, seed in ends]
    return names, lambda share: maker.loaded.model.scenes(torch.lerp(first, second, share))


@torch.no_grad()
def photo_tokens(model: TokenAutoencoder, path: Path, device: str) -> Tensor:
    """Tokens (1, T) of a photograph's central square."""
    return model.encode(load_square(path, model.resolution).to(device)).tokens


@torch.no_grad()
def views_between(way: Way, shares: Sequence[float], size: int) -> Iterator[View]:
    """Canonical views of the scenes at shares of a way."""
    for share in shares:
        scenes = way(share)
        yield scenes.view(scenes.canonical, size, size)
