"""The tools with a GAN: a class and a seed are one scene everywhere; what it can't do is said."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import trimesh
from tiny_checkpoints import TinyFiles, run
from tiny_gan import CLASSES, SIDE, save_gan, tiny_gan

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.opening import open_gan, open_maker
from lightning_modules.pictures.drawing import GAP, to_uint8
from lightning_modules.tools.edit import edit
from lightning_modules.tools.interpolate import interpolate
from lightning_modules.tools.mesh import mesh
from lightning_modules.tools.reconstruct import reconstruct
from lightning_modules.tools.sample import sample
from lightning_modules.tools.video import video
from models.wildgan import WildGAN
from renderers.cameras import Camera

TILE = SIDE + GAP


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_gan(tmp_path_factory.mktemp("gan") / "gan.ckpt")


def picture(model: WildGAN, label: int, seed: int, camera: Camera, psi: float = 1) -> np.ndarray:
    scenes = model.scenes(model.mapped(torch.tensor([label]), [seed], psi))
    return to_uint8(scenes.view(camera, SIDE, SIDE).rgb[0])


def tiles(path: Path, rows: int, columns: int) -> np.ndarray:
    """The tiles (rows, columns, SIDE, SIDE, 3) of a sheet, without its margins."""
    sheet = iio.imread(path)[-rows * TILE :, -columns * TILE :]
    return sheet.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2)[:, :, :SIDE, :SIDE]


def test_the_averaged_generator_is_loaded(gan: str) -> None:
    loaded, model = open_maker(gan), tiny_gan()
    assert isinstance(loaded, GANScenes)
    assert loaded.names == CLASSES
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_samples_are_labelled_grids_of_classes_and_seeds(gan: str, tmp_path: Path) -> None:
    options = {"seeds": (4, 2), "views": 3, "size": SIDE, "truncation": 0.5}
    run(sample, gan, **options, out=str(tmp_path))
    names = {"samples.png", "disparity.png", "views.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    model, found = tiny_gan(), tiles(tmp_path / "samples.png", 3, 2)
    front, around = model.views.canonical().camera(), model.views.around(3)
    for label in range(3):
        for column, seed in enumerate((4, 2)):
            expected = picture(model, label, seed, front, 0.5)
            np.testing.assert_array_equal(found[label, column], expected)
        views = tiles(tmp_path / "views.png", 3, 3)[label]
        expected = [picture(model, label, 4, around[[view]], 0.5) for view in range(3)]
        np.testing.assert_array_equal(views, expected)
    assert len(np.unique(found.reshape(6, -1), axis=0)) == 6
    run(sample, gan, **options | {"truncation": None}, out=str(tmp_path / "all"))
    assert not np.array_equal(tiles(tmp_path / "all" / "samples.png", 3, 2), found)


def test_a_video_shows_the_scene_of_the_sheet_from_all_around(gan: str, tmp_path: Path) -> None:
    command = ["video", "--checkpoint", gan, "--classes", "mug", "--seeds", "2", "--frames", "4"]
    command += ["--trajectory", "orbit", "--formats", "gif", "--size", str(SIDE)]
    assert main([*command, "--truncation", "0.5", "--out", str(tmp_path)]) == 0
    frames = iio.imread(tmp_path / "mug-seed2-orbit.gif")
    model = tiny_gan()
    first = picture(model, 1, 2, model.views.canonical().camera(), 0.5)
    assert np.abs(frames[0].astype(float) - first).mean() < 6  # a GIF has 256 colours
    assert np.abs(frames[2].astype(float) - first).mean() > 6


def test_a_mesh_is_of_what_is_opaque_in_the_box(tmp_path: Path) -> None:
    path = save_gan(tmp_path / "dense.ckpt", tiny_gan(bias=100.0))
    chosen = {"classes": ("mug",), "resolution": 12, "format": "ply", "out": str(tmp_path)}
    meshes = []
    for given in ({}, {"half_extent": 0.6}, {"quantile": 0.9}):
        run(mesh, path, **chosen, **given)
        meshes.append(trimesh.load(tmp_path / "mug-seed0.ply", process=False).vertices)
    np.testing.assert_array_equal(meshes[0], meshes[1])
    assert meshes[0].shape != meshes[2].shape
    assert np.abs(meshes[0]).max() == pytest.approx(0.6, abs=0.05)
    with pytest.raises(DataError, match="No mesh for mug-seed0: no surface at density 1000"):
        run(mesh, path, **chosen, level=1000.0)


def test_interpolation_moves_the_mapped_latent_along_a_line(gan: str, tmp_path: Path) -> None:
    shown = {"steps": 3, "frames": 2, "formats": ("gif",), "size": SIDE, "truncation": 0.8}
    run(interpolate, gan, classes=("chair", "mug"), seeds=(1,), out=str(tmp_path), **shown)
    model = tiny_gan()
    ends = model.mapped(torch.tensor([0, 1]), [1, 1], 0.8)
    scenes = model.scenes(torch.stack([ends[0], ends.mean(0), ends[1]]))
    seen = scenes.view(scenes.canonical, SIDE, SIDE).rgb
    found = tiles(tmp_path / "chair-seed1-to-mug-seed1-sheet.png", 2, 3)[0]
    assert np.abs(found - np.stack([to_uint8(image) for image in seen]).astype(int)).max() <= 1
    run(interpolate, gan, classes=("2",), out=str(tmp_path), **shown)
    assert (tmp_path / "oak-tree-seed0-to-oak-tree-seed1.gif").exists()
    for given in ({"seeds": (1, 2, 3)}, {"seeds": (1,)}, {"classes": ("all",)}):
        with pytest.raises(DataError, match="interpolation is between two of either, or of both"):
            run(interpolate, gan, out=str(tmp_path), **{"classes": ("mug",)} | given)
    with pytest.raises(DataError, match="is of a GAN: give one or two --classes"):
        run(interpolate, gan, out=str(tmp_path))


def test_a_gan_without_classes_takes_seeds_alone(tmp_path: Path) -> None:
    path = save_gan(tmp_path / "plain.ckpt", tiny_gan(0))
    shown = {"views": 1, "size": 2, "out": str(tmp_path)}
    run(sample, path, seeds=(3,), **shown)
    run(video, path, seeds=(3, 4), formats=("gif",), frames=1, size=2, out=str(tmp_path / "videos"))
    names = {path.name for path in (tmp_path / "videos").iterdir()}
    assert names == {"seed3-wiggle.gif", "seed4-wiggle.gif"}


PHOTO = {"image": "x.png", "region": (0.0, 0.0, 0.5, 1.0)}


@pytest.mark.parametrize(
    ("verb", "options", "sentence"),
    [
        (sample, {"top_k": 3, "steps": 2}, r"^--top_k is 3 and --steps is 2, but .* draws no tok"),
        (
            sample,
            {"batch_size": 4},
            "^--batch_size is 4, but .* is of a GAN, which draws no tokens",
        ),
        (sample, {"stage1": "a"}, "^--stage1 is a, but .* is of a GAN, which has no stage 1"),
        (sample, {"truncation": -0.5}, "--truncation is -0.5, it must be from 0"),
        (video, {"classes": ("any",)}, "GAN that draws scenes of a class only: name classes"),
        (video, {}, r"is of a GAN: give --classes and --seeds\.$"),
        (mesh, {"images": ("a.png",)}, "photographs in one pass nor of tokens: .*`wild3d invert`"),
        (mesh, {"tokens": "tokens.npz"}, "photographs in one pass nor of tokens: .*`wild3d inv"),
        (interpolate, {"images": ("a.png", "b.png")}, "neither of photographs in one pass"),
        (edit, PHOTO, "neither of photographs in one pass"),
    ],
)
def test_what_a_gan_can_not_do_is_said(
    verb: object, options: dict, sentence: str, gan: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=sentence):
        run(verb, gan, out=str(out), **options)
    assert not out.exists()


def test_verbs_of_stage1_refuse_a_gan(gan: str, tiny_files: TinyFiles) -> None:
    with pytest.raises(DataError, match="neither of photographs in one pass"):
        reconstruct(gan, tiny_files.first)
    with pytest.raises(DataError, match="is no checkpoint of a GAN: its model is a VQ3D"):
        open_gan(tiny_files.stage1)


def test_what_only_a_gan_takes_is_refused_elsewhere(tiny_files: TinyFiles) -> None:
    with pytest.raises(DataError, match=r"^--truncation is 0.5, but .* only a GAN's latents can"):
        run(sample, tiny_files.masked, truncation=0.5)
    with pytest.raises(DataError, match=r"^--truncation is 0.5, but nothing is drawn with --im"):
        run(video, tiny_files.stage1, images=(tiny_files.first,), truncation=0.5)
    with pytest.raises(DataError, match=r"^--classes is mug.*, but only of a GAN are scenes"):
        run(interpolate, tiny_files.stage1, classes=("mug",))
    with pytest.raises(DataError, match="is a stage-1 checkpoint, which draws nothing: name one"):
        run(sample, tiny_files.stage1)
