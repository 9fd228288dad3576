"""`wild3d video` and `wild3d mesh` write one file a scene and format."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from tiny_checkpoints import TinyFiles, run
from tiny_model import SIDE

from datamodules.errors import DataError
from lightning_modules.tools.mesh import mesh
from lightning_modules.tools.video import video
from renderers.rays import Rays

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("trajectory", ["wiggle", "orbit"])
def test_videos_have_their_frames_and_move(
    trajectory: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    checkpoint, out = tiny_files.autoregressive, str(tmp_path)
    formats, drawn = ("mp4", "gif"), {"classes": ("chair", "mug"), "seeds": (0, 1)}
    moving = {"trajectory": trajectory, "formats": formats, "frames": 5, "fps": 10}
    run(video, checkpoint, **drawn, out=out, size=SIDE, **moving)
    names = {f"{name}-seed{seed}" for name in ("chair", "mug") for seed in (0, 1)}
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"{name}-{trajectory}.{suffix}" for name in names for suffix in formats}
    path = tmp_path / f"mug-seed1-{trajectory}.mp4"
    frames = iio.imread(path)
    assert frames.shape == (5, SIDE, SIDE, 3)
    assert iio.immeta(path, plugin="pyav")["fps"] == 10
    assert np.abs(frames[1].astype(float) - frames[0]).mean() > 0.3
    with Image.open(path.with_suffix(".gif")) as gif:
        assert (gif.n_frames, gif.info["duration"], gif.size) == (5, 100, (SIDE, SIDE))


def test_a_scene_does_not_depend_on_the_others(tiny_files: TinyFiles, tmp_path: Path) -> None:
    for folder, seeds in (("both", (0, 3)), ("one", (3,))):
        out = str(tmp_path / folder)
        chosen = {"classes": ("mug",), "seeds": seeds, "out": out}
        run(video, tiny_files.masked, **chosen, formats=("gif",), frames=2, size=SIDE)
    both, one = (
        iio.imread(tmp_path / folder / "mug-seed3-wiggle.gif") for folder in ("both", "one")
    )
    np.testing.assert_array_equal(both, one)


def test_a_video_rendered_in_small_chunks_is_the_same(
    tiny_files: TinyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks: list[int] = []

    def counted(rays: Rays, start: int, stop: int) -> Rays:
        chunks[-1] += 1
        return Rays(rays.origins[:, start:stop], rays.directions[:, start:stop])

    monkeypatch.setattr(Rays, "slice", counted)
    frames: list[torch.Tensor] = []

    def encode(pictures: list[torch.Tensor], *_: object) -> bytes:
        frames.extend(pictures)
        return b""

    monkeypatch.setattr("lightning_modules.inference.camera_paths.gif_bytes", encode)
    for option in ({}, {"points_per_chunk": 500}):
        chunks.append(0)
        chosen = {"images": (tiny_files.first,), "formats": ("gif",), "frames": 1, "size": SIDE}
        run(video, tiny_files.stage1, **chosen, **option, out=str(tmp_path))
    # Sums in another order may round otherwise.
    torch.testing.assert_close(*frames, atol=1e-5, rtol=0)
    assert chunks[0] == 1
    assert chunks[1] > 2


def test_an_odd_size_is_for_gifs_only(tiny_files: TinyFiles, tmp_path: Path) -> None:
    photo, out = (tiny_files.first,), str(tmp_path / "new")
    with pytest.raises(DataError, match="size is 15, an MP4 needs an even one: change --size"):
        run(video, tiny_files.stage1, images=photo, size=15, out=out)
    with pytest.raises(DataError, match=r"formats is \[\], fps 24: give at least one"):
        run(video, tiny_files.stage1, images=photo, size=16, out=out, formats=())
    with pytest.raises(DataError, match="--frames is 0, it must be from 1 to 10,000"):
        run(video, tiny_files.stage1, images=photo, size=16, out=out, frames=0)
    assert not (tmp_path / "new").exists()
    run(video, tiny_files.stage1, images=photo, size=15, out=out, formats=("gif",), frames=1)
    assert iio.imread(tmp_path / "new" / "first-wiggle.gif").shape == (1, 15, 15, 3)


@pytest.mark.parametrize("form", ["glb", "ply", "obj"])
def test_meshes_open_with_colours_and_one_component_if_asked(
    form: str, tiny_files: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = (tiny_files.first,)
    counts = {}
    for folder, largest in (("all", False), ("one", True)):
        run(
            mesh,
            tiny_files.stage1,
            images=photo,
            out=str(tmp_path / folder),
            format=form,
            resolution=16,
            quantile=0.985,
            largest_component=largest,
            half_extent=0.8,
        )
        found = trimesh.load(tmp_path / folder / f"first.{form}", force="mesh", process=False)
        counts[folder] = found.body_count
        assert np.abs(found.vertices).max() == pytest.approx(0.8, abs=1e-4)
        assert found.visual.kind == "vertex"
        assert len(np.unique(np.asarray(found.visual.vertex_colors)[:, :3], axis=0)) > 5
        printed = capsys.readouterr().out
        assert f"first.{form}: {len(found.vertices):,} vertices, {len(found.faces):,} fa" in printed
        assert f"surface of {counts['all']} components, the largest with " in printed
    assert counts["all"] > 1
    assert counts["one"] == 1


def test_without_a_level_every_scene_has_a_surface(tiny_files: TinyFiles, tmp_path: Path) -> None:
    photos, out = (tiny_files.first, tiny_files.second), str(tmp_path)
    run(mesh, tiny_files.stage1, images=photos, out=out, resolution=8)
    assert {path.name for path in tmp_path.iterdir()} == {"first.glb", "second.glb"}
    with pytest.raises(DataError, match=r"No mesh for first: no surface at density 99.*\(--level"):
        run(mesh, tiny_files.stage1, images=photos, out=out, resolution=8, level=99.0)
    with pytest.raises(DataError, match=r"level is 5\.0 and quantile 0.5: give only one"):
        run(mesh, tiny_files.stage1, images=photos, out=out, level=5.0, quantile=0.5)
    with pytest.raises(DataError, match=r"--quantile is 1\.5, it must be from 0\.001"):
        run(mesh, tiny_files.stage1, images=photos, out=out, resolution=8, quantile=1.5)
    with pytest.raises(DataError, match="--resolution is 1, it must be from 2"):
        run(mesh, tiny_files.stage1, images=photos, out=out, resolution=1)
