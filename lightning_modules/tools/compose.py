"""`wild3d compose`: several assets in one scene, as a layout says."""

from functools import partial
from pathlib import Path

from datamodules.classes import file_part
from datamodules.errors import Failures
from datamodules.files import write_atomically
from lightning_modules.inference.camera_paths import VideoFormat, check_video, write_video
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.layout_assets import composed, make_assets
from lightning_modules.inference.layout_file import read_layout
from lightning_modules.inference.layout_pictures import Shoot, mesh_nodes
from lightning_modules.inference.limits import (
    Device,
    Frames,
    FramesPerSecond,
    Inside,
    Lattice,
    Level,
    Pixels,
    Points,
    Tiles,
)
from lightning_modules.inference.meshing import Surface
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.photographs import load_square
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.pictures.drawing import write_png
from renderers.mesh import glb_bytes
from renderers.renderer import POINTS_PER_CHUNK


def compose(
    checkpoint: str,
    layout: str,
    out: str = "outputs/compose",
    views: Tiles = 4,
    size: Pixels = 256,
    formats: tuple[VideoFormat, ...] = ("mp4",),
    frames: Frames = 48,
    fps: FramesPerSecond = 24,
    resolution: Lattice = 128,
    level: Level | None = None,
    quantile: Inside | None = None,
    largest_component: bool = False,
    points_per_chunk: Points = POINTS_PER_CHUNK,
    stage1: str | None = None,
    device: Device = AUTO,
    sampling: SamplingOptions = SamplingOptions(),
) -> None:
    """Put several assets into one scene: a sheet, a video and a mesh of them all.

    Objects in boxes alone can be placed beside each other, and the boxes must not meet. They are
    rendered together along each ray, the nearest first.

    Args:
        checkpoint: of stage 1 for photographs and tokens, of a prior for all, of a GAN for classes.
        layout: YAML file that says which assets stand where, e.g. street.yaml.
        out: folder for NAME-sheet.png, image above disparity from around; the video
            NAME-orbit.mp4; and NAME.glb, a node an asset; NAME is the layout's.
        views: columns of the sheet.
        size: side of the pictures in pixels, even for mp4.
        formats: of the video, mp4, gif or both.
        frames: of the video.
        fps: frames per second; a GIF rounds the time of a frame to 1/100 s.
        resolution: lattice points along each side of an asset's box, for its mesh.
        level: density of the surface, the same for all assets.
        quantile: share of the box that is outside the surface, in place of a level; by default the
            surface is that of what is opaque.
        largest_component: keep only the connected part of each asset with the most faces.
        points_per_chunk: field evaluations held in memory at once; the pictures do not depend on
            it.
        stage1: where the prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
        sampling: how assets are drawn where the layout does not say.
    """
    device = chosen_device(device)
    check_video(size, formats, fps)
    surface = Surface(resolution, None, level, quantile, largest_component)
    plan = read_layout(layout)
    grey = plan.background
    behind = load_square(Path(grey), size).to(device) if isinstance(grey, str) else grey
    made = make_assets(
        plan, partial(open_maker, checkpoint, stage1, device=device), sampling, device
    )
    scene = composed(plan, made)
    shoot = Shoot(scene, plan.camera, behind, size, device, points_per_chunk)
    picture, film = shoot.sheet(views), shoot.film(frames)
    failures = Failures(len(scene.objects))
    nodes = mesh_nodes(scene.objects, surface, failures)

    seeds = dict.fromkeys(seed for asset in plan.shown for seed in made[asset.name].seeds)
    note, name = made_now(checkpoint).note(*seeds), file_part(Path(layout).stem) or "layout"
    png, glb, orbit = (Path(out) / f"{name}{end}" for end in ("-sheet.png", ".glb", "-orbit"))
    write_png(png, picture, note)
    written = [png, *write_video(film, orbit, formats, fps, note)]
    if nodes:
        write_atomically(glb, glb_bytes([node for node, _ in nodes], note))
        written.append(glb)
    for path in written:
        print(path)
    for node, found in nodes:
        print(f"{node.name}: {found}")
    failures.tell()
