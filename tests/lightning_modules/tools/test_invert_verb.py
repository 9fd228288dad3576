"""`wild3d invert`, from photographs to files that the other verbs show again."""

import json
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import trimesh
from tiny_checkpoints import TinyFiles, run
from tiny_classes import save_classifier, tiny_classifier
from tiny_gan import CLASSES, SIDE, save_gan, tiny_gan

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.inference.inverted_scenes import InvertedScenes
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.pictures.drawing import GAP, mp4_bytes, write_png
from lightning_modules.tools.invert import invert
from lightning_modules.tools.mesh import mesh
from lightning_modules.tools.sample import sample
from lightning_modules.tools.video import video

pytestmark = pytest.mark.slow

QUICK = ["--latent_steps", "12", "--latent_lr", "5e-2", "--tuning_steps", "12", "--tuning_lr"]
QUICK += ["5e-3", "--candidates", "2", "--views", "2", "--frames", "2", "--size", str(SIDE)]
QUICK += ["--mesh_resolution", "8", "--mesh_level", "1.5"]
SHORT = {"latent_steps": 1, "tuning_steps": 1, "candidates": 0, "views": 1, "frames": 1, "size": 8}
SHORT |= {"mesh_resolution": 4, "mesh_level": 1.0}


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_gan(tmp_path_factory.mktemp("gan") / "gan.ckpt")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mug of the generator's own, with borders beside its central square."""
    model = tiny_gan()
    scenes = model.scenes(model.mapped(torch.tensor([1]), [9]))
    rgb = scenes.view(scenes.canonical, SIDE, SIDE).rgb[0]
    path = tmp_path_factory.mktemp("photo") / "cup.png"
    write_png(path, torch.nn.functional.pad(rgb, (4, 4)))
    return path


@pytest.fixture(scope="module")
def videos() -> Iterator[list[torch.Tensor]]:
    """Frames (N, 3, H, W) of every video, as they are before they are encoded."""
    taken: list[torch.Tensor] = []

    def encode(frames: list[torch.Tensor], rate: int, note: str | None) -> bytes:
        taken.append(torch.stack(frames))
        return mp4_bytes(frames, rate, note)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightning_modules.inference.camera_paths.mp4_bytes", encode)
        yield taken


@pytest.fixture(scope="module")
def outputs(
    gan: str, photo: Path, videos: list[torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("inverted")
    command = ["invert", "--checkpoint", gan, "--images", str(photo), "--classes", "mug"]
    assert main([*command, *QUICK, "--out", str(out)]) == 0
    return out


def test_each_photograph_has_its_files(outputs: Path, gan: str) -> None:
    names = {f"cup{end}" for end in ("-sheet.png", "-orbit.mp4", ".glb", ".json", ".ckpt")}
    assert {path.name for path in outputs.iterdir()} == names
    assert iio.imread(outputs / "cup-sheet.png").shape == (SIDE + GAP, 7 * (SIDE + GAP), 3)
    assert iio.imread(outputs / "cup-orbit.mp4").shape == (2, SIDE, SIDE, 3)
    assert len(trimesh.load(outputs / "cup.glb", force="mesh").faces) > 10
    for name in names - {"cup.json"}:
        found = read_provenance(outputs / name)
        assert found is not None
        assert found.checkpoint == gan
    assert read_provenance(gan) is None


def test_figures_tell_how_near_each_phase_came(outputs: Path) -> None:
    found = json.loads((outputs / "cup.json").read_text())
    assert found["class"] == "mug"
    assert found["distance"] == "pixels at several scales"
    assert found["start"]["psnr"] < found["latent"]["psnr"] < found["tuned"]["psnr"]
    assert found["tuned"]["mse"] == pytest.approx(10 ** (-found["tuned"]["psnr"] / 10), rel=1e-3)
    assert found["settings"]["latent_steps"] == 12
    assert len(found["provenance"]["checkpoint_sha256"]) == 64


def test_the_scene_is_shown_again_from_its_checkpoint(
    outputs: Path, videos: list[torch.Tensor], tmp_path: Path
) -> None:
    path = str(outputs / "cup.ckpt")
    loaded = open_maker(path)
    assert isinstance(loaded, InvertedScenes)
    stored = json.loads((outputs / "cup.json").read_text())["view"]
    angles = torch.tensor([loaded.view.yaw, loaded.view.pitch]).rad2deg().tolist()
    assert angles == pytest.approx([stored["yaw_degrees"], stored["pitch_degrees"]], abs=1e-3)
    scenes = loaded.photo.scenes()
    tile = iio.imread(outputs / "cup-sheet.png")[:SIDE, SIDE + GAP :][:, :SIDE]
    seen = scenes.view(scenes.canonical, SIDE, SIDE).rgb[0].permute(1, 2, 0) * 255
    assert np.abs(tile - seen.numpy()).max() < 1
    run(video, path, out=str(tmp_path), trajectory="orbit", frames=2, size=SIDE)
    torch.testing.assert_close(videos[-1], videos[0], atol=1e-5, rtol=0)
    assert (videos[-1][0] - videos[0][1]).abs().mean() > 0.01
    run(mesh, path, out=str(tmp_path), resolution=8, level=1.5)
    vertices = [trimesh.load(f / "cup.glb", force="mesh").vertices for f in (tmp_path, outputs)]
    np.testing.assert_array_equal(*vertices)


def test_a_file_of_an_inversion_takes_no_choice_of_scenes(outputs: Path, photo: Path) -> None:
    path = str(outputs / "cup.ckpt")
    why = "but .* holds the one scene of a photograph: leave it out"
    for given in ({"classes": ("mug",)}, {"seeds": (1,)}, {"images": ("a.png",)}, {"top_k": 3}):
        with pytest.raises(DataError, match=f"^--{next(iter(given))} is .*{why}"):
            run(video, path, **given)
    with pytest.raises(DataError, match="holds one inverted photograph: show it with `wild3d vid"):
        run(sample, path)
    with pytest.raises(DataError, match="is tuned to one photograph: name the GAN it was made fr"):
        run(invert, path, images=(str(photo),))


def test_a_classifier_says_what_is_shown(gan: str, photo: Path, tmp_path: Path) -> None:
    square = torch.from_numpy(iio.imread(photo)[:, 4:-4] / np.float32(255)).permute(2, 0, 1)
    expected = CLASSES[int(tiny_classifier()(square[None]).argmax())]
    classifier = save_classifier(tmp_path / "classifier.ckpt")
    run(invert, gan, images=(str(photo),), classifier=classifier, out=str(tmp_path), **SHORT)
    assert json.loads((tmp_path / "cup.json").read_text())["class"] == expected


def test_photographs_may_have_a_class_each(gan: str, tiny_files: TinyFiles, tmp_path: Path) -> None:
    photos = (tiny_files.first, tiny_files.second)
    run(invert, gan, images=photos, classes=("mug", "0"), out=str(tmp_path), **SHORT)
    found = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("first", "second")]
    assert [one["class"] for one in found] == ["mug", "chair"]


def test_a_gan_without_classes_needs_none(photo: Path, tmp_path: Path) -> None:
    plain = save_gan(tmp_path / "plain.ckpt", tiny_gan(0))
    run(invert, plain, images=(str(photo),), out=str(tmp_path), **SHORT)
    assert json.loads((tmp_path / "cup.json").read_text())["class"] == "any"
    with pytest.raises(DataError, match=r"^--classes is .*, but .* is of a GAN without classes"):
        run(invert, plain, images=(str(photo),), classes=("mug",), out=str(tmp_path), **SHORT)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, r"is of a GAN of 3 classes: say what the photographs show with --classes, or name a"),
        ({"classes": ("cup",)}, "There is no class 'cup'"),
        ({"classes": ("any",)}, "--classes is any, but a GAN draws scenes of a class: name it"),
        ({"classes": ("mug", "0")}, "--classes names 2 classes of 1 photograph: give one for all"),
        ({"classes": ("mug",), "classifier": "c"}, "^--classifier is c, but --classes says what"),
        ({"classes": ("mug",), "size": 7}, "size is 7, an MP4 needs an even one"),
        ({"classes": ("mug",), "views": 0}, "--views is 0, it must be from 1"),
        ({"classes": ("mug",), "perceptual_weights": "vgg.pth"}, "no file vgg.pth with VGG16's"),
    ],
)
def test_what_can_not_be_inverted_is_said_before_anything_is_written(
    given: dict, sentence: str, gan: str, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=sentence):
        run(invert, gan, images=(str(photo),), out=str(out), **SHORT | given)
    assert not out.exists()


def test_a_prior_is_not_inverted(tiny_files: TinyFiles, photo: Path) -> None:
    with pytest.raises(DataError, match="is no checkpoint of a GAN: its model is a MaskedPrior"):
        run(invert, tiny_files.masked, images=(str(photo),))
