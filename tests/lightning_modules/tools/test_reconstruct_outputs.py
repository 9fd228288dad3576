"""Files of `wild3d reconstruct` can be opened and show something."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import trimesh
from tiny_checkpoints import save_stage1
from tiny_model import SIDE, tiny_model

from datamodules.errors import DataError
from lightning_modules.pictures.drawing import GAP
from lightning_modules.tools.reconstruct import reconstruct

SIZE, FRAMES = 2 * SIDE, 5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage-1 checkpoint of an untrained model, whose fog reaches a density of 1.9."""
    path = tmp_path_factory.mktemp("checkpoint") / "best.ckpt"
    return Path(save_stage1(tiny_model(), path))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 16 x 24 pixels, so that the central square is columns 4 to 20."""
    path = tmp_path_factory.mktemp("photo") / "cat.png"
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE + 8, 3), dtype=np.uint8)
    iio.imwrite(path, pixels)
    return path


@pytest.fixture(scope="module")
def outputs(checkpoint: Path, photo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sheet, video and mesh of the photo."""
    folder = tmp_path_factory.mktemp("outputs")
    write(checkpoint, photo, folder)
    return folder


def write(
    checkpoint: Path,
    photo: Path,
    folder: Path,
    mesh_format: str = "glb",
    mesh_level: float = 0.8,
    points_per_chunk: int = 1 << 20,
) -> None:
    reconstruct(
        str(checkpoint),
        str(photo),
        str(folder),
        size=SIZE,
        frames=FRAMES,
        mesh_format=mesh_format,
        mesh_resolution=12,
        mesh_level=mesh_level,
        points_per_chunk=points_per_chunk,
    )


def test_rendering_in_parts_changes_no_picture(
    checkpoint: Path, photo: Path, outputs: Path, tmp_path: Path
) -> None:
    write(checkpoint, photo, tmp_path, points_per_chunk=300)
    parts, whole = (iio.imread(folder / "cat-sheet.png") for folder in (tmp_path, outputs))
    # Sums in another order may round a value of 255 the other way.
    np.testing.assert_allclose(parts.astype(int), whole.astype(int), atol=1)


def test_the_sheet_shows_the_photo_beside_six_renderings(outputs: Path, photo: Path) -> None:
    sheet = iio.imread(outputs / "cat-sheet.png")
    assert sheet.shape == (SIZE + GAP, 7 * (SIZE + GAP), 3)
    tiles = sheet.reshape(SIZE + GAP, 7, SIZE + GAP, 3).swapaxes(0, 1)[:, :SIZE, :SIZE]
    square = iio.imread(photo)[:, 4 : 4 + SIDE]
    np.testing.assert_array_equal(tiles[0], square.repeat(2, 0).repeat(2, 1))
    assert all(tile.std() > 1 for tile in tiles)
    assert len(np.unique(tiles, axis=0)) == 7


def test_the_video_has_its_frames_and_moves(outputs: Path) -> None:
    (path,) = outputs.glob("cat-*.mp4")
    frames = iio.imread(path)
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    assert frames.std((1, 2, 3)).min() > 1
    assert np.abs(frames[1].astype(float) - frames[0]).mean() > 0.5


@pytest.mark.parametrize("mesh_format", ["glb", "ply", "obj"])
def test_the_mesh_opens_with_finite_vertices_and_their_colours(
    mesh_format: str, checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    write(checkpoint, photo, tmp_path, mesh_format)
    mesh = trimesh.load(tmp_path / f"cat.{mesh_format}", force="mesh")
    assert len(mesh.faces) > 100
    assert np.isfinite(mesh.vertices).all()
    assert np.abs(mesh.vertices).max() <= 1
    assert mesh.visual.kind == "vertex"
    colours = np.asarray(mesh.visual.vertex_colors)[:, :3]
    assert len(colours) == len(mesh.vertices)
    assert len(np.unique(colours, axis=0)) > 10


def test_a_scene_without_a_surface_has_its_pictures_all_the_same(
    checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"^No mesh for cat: .*density 99.*\(--mesh_level\)\.$"):
        write(checkpoint, photo, tmp_path, mesh_level=99.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cat-sheet.png", "cat-wiggle.mp4"]
