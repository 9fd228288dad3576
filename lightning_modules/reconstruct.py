"""`wild3d reconstruct`: a photograph in, one forward pass, and a scene to look at out."""

import math
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.progress import track
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files import write_atomically
from lightning_modules.drawing import colorize, mp4_bytes, sheet, write_png
from lightning_modules.loading import load_stage1
from models.scenes import Scenes
from models.vq3d import VQ3D
from renderers.cameras import Camera
from renderers.mesh import colour_vertices, density_grid, extract_mesh, save_mesh
from renderers.trajectories import front_arc, orbit, spiral, wiggle

Trajectory = Literal["wiggle", "front_arc", "orbit", "spiral"]
MeshFormat = Literal["glb", "ply", "obj"]


def reconstruct(
    checkpoint: str,
    images: list[str] | str,
    out: str = "outputs/reconstruct",
    size: int = 256,
    trajectory: Trajectory = "wiggle",
    frames: int = 48,
    mesh_format: MeshFormat = "glb",
    mesh_resolution: int = 128,
    mesh_level: float = 5.0,
    device: str = "cpu",
) -> None:
    """Turn photographs into scenes: for each a sheet, a video and a mesh.

    Each photograph is cropped to its central square and encoded once.

    Args:
        checkpoint: stage-1 checkpoint, e.g. runs/vq3d-shapeworld/checkpoints/best.ckpt.
        images: a photograph or a folder of them, or a list [a.jpg, b.jpg].
        out: folder for NAME-sheet.png, NAME-TRAJECTORY.mp4 and NAME.glb.
        size: side of the rendered pictures in pixels, even.
        trajectory: path of the video's camera. wiggle and front_arc stay within the views that
            training judges; orbit and spiral show what no loss has seen.
        frames: frames of the video.
        mesh_format: file format of the mesh.
        mesh_resolution: lattice points along each side of the mesh's box, the unit cube.
        mesh_level: density of the mesh's surface.
        device: where to compute, e.g. cuda.
    """
    paths = find_images([images] if isinstance(images, str) else images)
    if size % 2:
        raise DataError(f"size is {size}, a video needs an even one: change --size.")
    model = load_stage1(checkpoint).to(device)
    camera = trajectory_cameras(model, trajectory, frames)
    target, failures = Path(out), []
    for path in track(paths, description="reconstruct"):
        photo, name = load_square(path, model.resolution).to(device), path.stem
        with torch.no_grad():
            scenes = model.reconstruct(photo)
            write_png(target / f"{name}-sheet.png", photo_sheet(model, scenes, photo, size))
            video = mp4_bytes(render_path(scenes, camera, size))
            write_atomically(target / f"{name}-{trajectory}.mp4", video)
            try:
                mesh_path = target / f"{name}.{mesh_format}"
                write_mesh(scenes, mesh_path, mesh_resolution, mesh_level)
            except DataError as error:
                failures.append(str(error))
    print(f"{len(paths)} scenes in {target}")
    if failures:
        raise DataError(" ".join(failures))


def find_images(names: list[str]) -> list[Path]:
    """Files as they are named, folders as the images in them.

    Raises:
        DataError: a name is neither, there is no image at all, or two differ in folder or suffix
            only, so that their results would have the same names.
    """
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            suffixes = {".jpg", ".jpeg", ".png", ".webp"}
            paths += sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
        elif path.is_file():
            paths.append(path)
        else:
            raise DataError(f"There is no file or folder {name}: check --images.")
    if not paths:
        raise DataError(f"No .jpg, .png or .webp in {', '.join(names)}: check --images.")
    by_stem = {path.stem: path for path in paths}
    for path in paths:
        if by_stem[path.stem] != path:
            raise DataError(
                f"{path} and {by_stem[path.stem]} would overwrite each other's results: rename one."
            )
    return paths


def load_square(path: Path, side: int) -> Tensor:
    """The central square of a photograph as (1, 3, side, side) in [0, 1].

    Raises:
        DataError: the file can't be read as an image.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path} is no readable image ({error}).") from error
    square = ImageOps.fit(upright, (side, side), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(square) / np.float32(255)).permute(2, 0, 1)[None]


def photo_sheet(model: VQ3D, scenes: Scenes, photo: Tensor, size: int) -> Tensor:
    """Input, reconstruction, disparity and four novel views in a row, each `size` pixels wide."""
    canonical = scenes.view(scenes.canonical, size, size)
    novel = front_arc(4, model.view.radius, model.view.fov_degrees)
    enlarged = torch.nn.functional.interpolate(photo, size=(size, size), mode="nearest")
    columns = [enlarged, canonical.rgb, colorize(canonical.disparity)]
    return sheet(columns + [frame[None] for frame in render_path(scenes, novel, size)])


def trajectory_cameras(model: VQ3D, trajectory: Trajectory, frames: int) -> Camera:
    """Cameras (frames,) of a path around the canonical view of the model."""
    radius, fov = model.view.radius, model.view.fov_degrees
    match trajectory:
        case "wiggle":
            return wiggle(frames, radius, fov)
        case "front_arc":
            return front_arc(frames, radius, fov, extent=math.pi / 6)
        case "orbit":
            return orbit(frames, radius, fov)
        case "spiral":
            return spiral(frames, radius, fov)


def render_path(scenes: Scenes, camera: Camera, size: int) -> list[Tensor]:
    """Pictures (3, size, size) of the first scene from each of the cameras (V,)."""
    device, first = scenes.planes.device, scenes[:1]
    count = len(camera.cam2world)
    return [first.view(camera[i : i + 1].to(device), size, size).rgb[0] for i in range(count)]


def write_mesh(scenes: Scenes, path: Path, resolution: int, level: float) -> None:
    """Write the surface of the first scene within the unit cube, with vertex colours.

    Raises:
        DataError: no density reaches the level.
    """
    first, device = scenes[:1], scenes.planes.device
    grid = density_grid(first.density, resolution, device=device)
    try:
        mesh = extract_mesh(grid, level=level)
    except ValueError as error:
        raise DataError(f"No mesh for {path.stem}: {error} (--mesh_level).") from error
    save_mesh(colour_vertices(mesh, lambda points: first.at(points)[1], device=device), path)
