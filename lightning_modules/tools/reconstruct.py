"""`wild3d reconstruct`: a photograph in, one forward pass, and a scene to look at out."""

from pathlib import Path

from rich.progress import track

from datamodules.errors import Failures, counted
from lightning_modules.inference.camera_paths import Trajectory, trajectory_cameras
from lightning_modules.inference.computing import AUTO, chosen_device
from lightning_modules.inference.encoded_photographs import photo_scene, photo_view
from lightning_modules.inference.limits import Device, Frames, Lattice, Level, Pixels, Points
from lightning_modules.inference.meshing import MeshFormat, Surface
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.photographs import find_images, load_photograph
from lightning_modules.inference.provenance import made_now
from lightning_modules.inference.scene_files import SceneFiles
from renderers.renderer import POINTS_PER_CHUNK


def reconstruct(
    checkpoint: str,
    images: list[str] | str,
    out: str = "outputs/reconstruct",
    size: Pixels = 256,
    trajectory: Trajectory = "wiggle",
    frames: Frames = 48,
    mesh_format: MeshFormat = "glb",
    mesh_resolution: Lattice = 128,
    mesh_level: Level | None = None,
    points_per_chunk: Points = POINTS_PER_CHUNK,
    stage1: str | None = None,
    device: Device = AUTO,
) -> None:
    """Turn photographs into scenes: for each a sheet, a video and a mesh.

    Each photograph is cropped to its central square and encoded once. Of those in shards masks,
    rays and boxes are read too, for systems that look at them.

    Args:
        checkpoint: stage-1 checkpoint, e.g. runs/vq3d-shapeworld/checkpoints/best.ckpt, or that of
            a prior, whose stage-1 model is used.
        images: photographs or folders of them, e.g. a.jpg b.jpg; ROOT/KEY is one in shards.
        out: folder for NAME-sheet.png (photograph, its scene as it shows it, disparity, novel
            views), NAME-TRAJECTORY.mp4 and NAME.glb.
        size: side of the rendered pictures in pixels, even.
        trajectory: path of the video's camera. wiggle and front_arc stay within the views that
            training judges; orbit and spiral show what no loss has seen.
        frames: frames of the video.
        mesh_format: file format of the mesh.
        mesh_resolution: lattice points along each side of the mesh's box.
        mesh_level: density of the mesh's surface; by default as in `wild3d mesh`.
        points_per_chunk: field evaluations held in memory at once; the pictures do not depend on
            it.
        stage1: where a prior's stage-1 checkpoint is now, if it was moved.
        device: where to compute; auto takes a GPU where there is one, else the CPU.
    """
    device = chosen_device(device)
    paths = find_images([images] if isinstance(images, str) else images)
    surface = Surface(mesh_resolution, level=mesh_level)
    files = SceneFiles(Path(out), size, trajectory, frames, mesh_format, surface, points_per_chunk)
    model = open_maker(checkpoint, stage1, device=device).autoencoder
    novel, note = trajectory_cameras(model.view, "front_arc", 4), made_now(checkpoint).note()
    failures = Failures(len(paths))
    for path in track(paths, description="reconstruct"):
        with failures.kept():
            photo = load_photograph(path, model.resolution, device)
            scenes = photo_scene(model, photo)
            seen = photo_view(model, photo, scenes, size, points_per_chunk)
            files.write(path.stem, photo.pixels, seen, scenes, model.view, novel, note)
    print(f"{counted(len(paths) - len(failures.reasons), 'scene')} in {files.folder}")
    failures.tell()
