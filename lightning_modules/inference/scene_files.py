"""Files of a photograph's scene: a sheet, a video and a mesh."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.camera_paths import (
    Trajectory,
    check_frames,
    check_video,
    render_path,
    trajectory_cameras,
    write_video,
)
from lightning_modules.inference.meshing import MeshFormat, Surface, write_mesh
from lightning_modules.inference.photographs import enlarged
from lightning_modules.pictures.drawing import colored_disparity, sheet, write_png
from models.autoencoder import CanonicalView
from models.scenes import Scenes, View
from renderers.cameras import Camera
from renderers.renderer import POINTS_PER_CHUNK

FPS = 24
"""Frames per second of the videos."""


@dataclass(frozen=True)
class SceneFiles:
    """Writes scenes of photographs.

    folder: of all files; size: side of the pictures in pixels, even; frames: of the video;
    points_per_chunk: see `Scenes.view`.

    Raises DataError for a size that can't be encoded, or less than one frame.
    """

    folder: Path
    size: int
    trajectory: Trajectory
    frames: int
    mesh_format: MeshFormat
    surface: Surface
    points_per_chunk: int = POINTS_PER_CHUNK

    def __post_init__(self) -> None:
        """Check the size and the number of frames."""
        check_video(self.size, ("mp4",), FPS)
        check_frames(self.frames)

    def write(
        self,
        name: str,
        photo: Tensor,
        seen: View,
        scenes: Scenes,
        view: CanonicalView,
        novel: Camera,
        note: str,
    ) -> None:
        """Write NAME-sheet.png, NAME-TRAJECTORY.mp4 and NAME.glb of a scene (1).

        photo: (1, 3, H, W) in [0, 1]; seen: the scene as the photograph shows it; view: where the
        camera's path begins; novel: cameras (V,) of the sheet's last columns.

        Raises:
            DataError: there is no mesh, but there are the others.
        """
        picture = photo_sheet(photo, seen, scenes, novel, self.points_per_chunk)
        write_png(self.folder / f"{name}-sheet.png", picture, note)
        camera = trajectory_cameras(view, self.trajectory, self.frames)
        stem = self.folder / f"{name}-{self.trajectory}"
        frames = list(render_path(scenes, camera, self.size, self.points_per_chunk))
        write_video(frames, stem, ("mp4",), FPS, note)
        try:
            write_mesh(scenes, self.folder / f"{name}.{self.mesh_format}", self.surface, note)
        except ValueError as error:
            raise DataError(f"No mesh for {name}: {error} (--mesh_level).") from error


def photo_sheet(
    photo: Tensor, seen: View, scenes: Scenes, novel: Camera, points_per_chunk: int
) -> Tensor:
    """Photograph, its scene as it shows it, disparity and novel views in a row, all as wide as the
    scene as it is seen."""
    size = seen.rgb.shape[-1]
    columns = [enlarged(photo, size), seen.rgb, colored_disparity(seen)]
    others = render_path(scenes, novel, size, points_per_chunk)
    return sheet([column.cpu() for column in columns] + [frame[None] for frame in others])
