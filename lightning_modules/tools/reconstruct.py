"""`wild3d reconstruct`: a photograph in, one forward pass, and a scene to look at out."""

from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.drawing import colorize, sheet, write_png
from lightning_modules.tools.camera_paths import (
    Trajectory,
    check_video,
    render_path,
    trajectory_cameras,
    write_video,
)
from lightning_modules.tools.meshing import MeshFormat, Surface, write_mesh
from lightning_modules.tools.photographs import enlarged, find_images, load_square
from lightning_modules.tools.provenance import made_now
from lightning_modules.tools.scene_makers import open_stage1
from models.autoencoder import CanonicalView
from models.scenes import Scenes

FPS = 24
"""Frames per second of the videos."""


def reconstruct(
    checkpoint: str,
    images: list[str] | str,
    out: str = "outputs/reconstruct",
    size: int = 256,
    trajectory: Trajectory = "wiggle",
    frames: int = 48,
    mesh_format: MeshFormat = "glb",
    mesh_resolution: int = 128,
    mesh_level: float | None = None,
    stage1: str | None = None,
    device: str = "cpu",
) -> None:
    """Turn photographs into scenes: for each a sheet, a video and a mesh.

    Each photograph is cropped to its central square and encoded once.

    Args:
        checkpoint: stage-1 checkpoint, e.g. runs/vq3d-shapeworld/checkpoints/best.ckpt, or that of
            a prior, whose stage-1 model is used.
        images: photographs or folders of them, e.g. a.jpg b.jpg.
        out: folder for NAME-sheet.png, NAME-TRAJECTORY.mp4 and NAME.glb.
        size: side of the rendered pictures in pixels, even.
        trajectory: path of the video's camera. wiggle and front_arc stay within the views that
            training judges; orbit and spiral show what no loss has seen.
        frames: frames of the video.
        mesh_format: file format of the mesh.
        mesh_resolution: lattice points along each side of the mesh's box, the unit cube.
        mesh_level: density of the mesh's surface; by default the one that leaves 0.7 of the box
            outside, as in `wild3d mesh`.
        stage1: where a prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute, e.g. cuda.
    """
    paths = find_images([images] if isinstance(images, str) else images)
    check_video(size, ("mp4",), FPS)
    surface = Surface(mesh_resolution, level=mesh_level)
    model = open_stage1(checkpoint, stage1, device)
    camera, note = trajectory_cameras(model.view, trajectory, frames), made_now(checkpoint).note()
    target, failures = Path(out), []
    for path in track(paths, description="reconstruct"):
        photo, name = load_square(path, model.resolution).to(device), path.stem
        with torch.no_grad():
            scenes = model.reconstruct(photo)
        write_png(target / f"{name}-sheet.png", photo_sheet(model.view, scenes, photo, size), note)
        pictures = list(render_path(scenes, camera, size))
        write_video(pictures, target / f"{name}-{trajectory}", ("mp4",), FPS, note)
        try:
            write_mesh(scenes, target / f"{name}.{mesh_format}", surface, note)
        except ValueError as error:
            failures.append(f"No mesh for {name}: {error} (--mesh_level).")
    print(f"{len(paths)} scenes in {target}")
    if failures:
        raise DataError(" ".join(failures))


def photo_sheet(view: CanonicalView, scenes: Scenes, photo: Tensor, size: int) -> Tensor:
    """Input, reconstruction, disparity and four novel views in a row, each `size` pixels wide."""
    canonical = scenes.view(scenes.canonical, size, size)
    novel = render_path(scenes, trajectory_cameras(view, "front_arc", 4), size)
    columns = [enlarged(photo, size), canonical.rgb, colorize(canonical.disparity)]
    return sheet([column.cpu() for column in columns] + [frame[None] for frame in novel])
