"""`wild3d compose` puts assets of any source into one scene, and says in one sentence what can't
stand there."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import trimesh
from tiny_boxes import SIDE, BoxFiles, box_model, save_boxes, write_layout
from tiny_checkpoints import TinyFiles, run, save_photo, save_stage1
from tiny_gan import save_gan, tiny_gan

from datamodules.errors import DataError, Failures
from lightning_modules.cli.main import main
from lightning_modules.inference.layout_assets import MadeAsset, composed, make_assets
from lightning_modules.inference.layout_file import read_layout
from lightning_modules.inference.layout_pictures import Shoot, mesh_nodes
from lightning_modules.inference.meshing import Surface
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_maker import SceneMaker
from lightning_modules.inference.token_files import TokenScenes, write_tokens
from lightning_modules.tools.compose import compose
from lightning_modules.tools.sample import sample
from renderers.placement import points_in_world

pytestmark = pytest.mark.slow

SMALL = {"size": SIDE, "frames": 3, "views": 2, "resolution": 12}
MUG = {"class": "mug", "seed": 3}
CHAIR = {"class": "chair", "seed": 3}
STREET = {
    "background": "photo.png",
    "camera": {"fov_degrees": 50},
    "assets": {
        "by day": MUG | {"time_of_day": "day", "at": [0, 0, 2], "heading_degrees": 90},
        "by night": MUG | {"time_of_day": "night", "at": [0, 1, -2], "stretch": [2, 1, 1]},
        "photo": {"image": "photo.png", "at": [3, 0, 0], "scale": 0.5},
        "between": {"between": ["by day", "photo"], "share": 0.3, "at": [-3, 0, 0]},
    },
}


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> BoxFiles:
    """Checkpoints of both stages and a photograph beside them; do not alter."""
    return save_boxes(tmp_path_factory.mktemp("boxes"))


def folder_of(boxes: BoxFiles) -> Path:
    return Path(boxes.photo).parent


def made_of(
    checkpoint: str, folder: Path, assets: dict[str, Any], **options: Any
) -> dict[str, MadeAsset]:
    layout = read_layout(write_layout(folder, {"assets": assets}, "made.yaml"))
    return make_assets(
        layout, partial(open_maker, checkpoint, None), SamplingOptions(**options), "cpu"
    )


def test_a_layout_becomes_a_sheet_a_video_and_a_mesh_that_say_what_made_them(
    boxes: BoxFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = write_layout(folder_of(boxes), STREET)
    formats = ("mp4", "gif")
    run(compose, boxes.prior, layout=layout, out=str(tmp_path), formats=formats, **SMALL)
    names = {"street-sheet.png", "street.glb", "street-orbit.mp4", "street-orbit.gif"}
    assert {path.name for path in tmp_path.iterdir()} == names
    for path in tmp_path.iterdir():
        found = read_provenance(path)
        assert found is not None
        assert (found.checkpoint, found.seeds) == (boxes.prior, (3,))
    assert iio.imread(tmp_path / "street-orbit.mp4").shape == (3, SIDE, SIDE, 3)
    printed = capsys.readouterr().out
    assert str(tmp_path / "street.glb") in printed
    for name in STREET["assets"]:
        assert re.search(rf"^{name}: [\d.]+ long, [\d.]+ high, [\d.]+ wide$", printed, re.MULTILINE)
        assert re.search(rf"^{name}: [\d,]+ vertices, ", printed, re.MULTILINE)


def test_each_asset_is_a_node_of_the_mesh_with_its_pose(boxes: BoxFiles, tmp_path: Path) -> None:
    path = write_layout(folder_of(boxes), STREET)
    run(compose, boxes.prior, layout=path, out=str(tmp_path), **SMALL)
    scene = trimesh.load(tmp_path / "street.glb")
    assert set(scene.graph.nodes_geometry) == set(STREET["assets"])
    layout = read_layout(path)
    made = make_assets(layout, partial(open_maker, boxes.prior, None), SamplingOptions(), "cpu")
    objects = composed(layout, made).objects
    nodes = mesh_nodes(objects, Surface(12), Failures(1))
    for one, (node, _) in zip(objects, nodes, strict=True):
        matrix, geometry = scene.graph[one.name]
        vertices = scene.geometry[geometry].vertices  # in its own frame
        np.testing.assert_allclose(vertices, node.mesh.vertices, atol=1e-6)
        assert (np.abs(vertices) <= np.array(one.half_extents) + 1e-6).all()
        in_world = points_in_world(torch.from_numpy(node.mesh.vertices), one.placement)
        np.testing.assert_allclose(
            trimesh.transform_points(vertices, matrix), in_world.numpy(), atol=1e-5
        )
    corners = composed(layout, made).corners()
    low, high = scene.bounds
    assert (low >= corners.amin(0).numpy() - 1e-5).all()
    assert (high <= corners.amax(0).numpy() + 1e-5).all()
    assert (high - low)[0] > 6  # photo to between


def test_an_asset_is_the_scene_of_its_class_and_seed_whatever_stands_beside_it(
    boxes: BoxFiles, tmp_path: Path
) -> None:
    many = made_of(boxes.prior, tmp_path, {"a": MUG, "b": {"class": "chair"}, "c": {"class": 2}})
    maker = open_maker(boxes.prior).drawer()
    torch.testing.assert_close(many["a"].scene.planes, maker.generate([1], [3]).planes)
    torch.testing.assert_close(many["b"].scene.planes, maker.generate([0], [0]).planes)
    torch.testing.assert_close(many["c"].scene.planes, maker.generate([2], [0]).planes)


def test_options_of_an_asset_are_laid_over_those_of_the_command(
    boxes: BoxFiles, tmp_path: Path
) -> None:
    assets = {
        "command's": CHAIR,
        "day": CHAIR | {"time_of_day": "day"},
        "large": CHAIR | {"size_condition": [3, 1, 1]},
    }
    made = made_of(boxes.prior, tmp_path, assets, time_of_day="night")
    for name, options in (
        ("command's", SamplingOptions(time_of_day="night")),
        ("day", SamplingOptions(time_of_day="day")),
        ("large", SamplingOptions(time_of_day="night", size_condition=(3.0, 1.0, 1.0))),
    ):
        maker = open_maker(boxes.prior, options=options).token_drawer("a test")
        assert torch.equal(made[name].tokens, maker.tokens([0], [3]))
    others = made["day"].tokens, made["large"].tokens
    assert not any(torch.equal(made["command's"].tokens, tokens) for tokens in others)


def test_a_checkpoint_is_opened_once_for_each_set_of_options(
    boxes: BoxFiles, tmp_path: Path
) -> None:
    opened = []

    def opener(options: SamplingOptions) -> SceneMaker:
        opened.append(options)
        return open_maker(boxes.prior, options=options)

    night = MUG | {"time_of_day": "night"}
    assets = {"a": MUG, "b": night, "c": {"class": "chair"}, "d": night | {"seed": 4}}
    assets["e"] = {"between": ["a", "b"]}
    layout = read_layout(write_layout(tmp_path, {"assets": assets}))
    make_assets(layout, opener, SamplingOptions(), "cpu")
    assert opened == [SamplingOptions(), SamplingOptions(time_of_day="night")]


def test_between_two_assets_begins_at_one_and_ends_at_the_other(
    boxes: BoxFiles, tmp_path: Path
) -> None:
    save_photo(tmp_path / "photo.png", 0)
    ends = {"a": MUG | {"shown": False}, "b": {"image": "photo.png", "shown": False}}
    shares = {f"at {share}": {"between": ["a", "b"], "share": share} for share in (0, 0.5, 1)}
    made = made_of(boxes.prior, tmp_path, ends | shares)
    planes = {name: one.scene.planes for name, one in made.items()}
    torch.testing.assert_close(planes["at 0"], planes["a"])
    torch.testing.assert_close(planes["at 1"], planes["b"])
    apart = (planes["a"] - planes["b"]).abs().mean()
    assert (planes["at 0.5"] - planes["a"]).abs().mean() > 0.05 * apart
    assert made["at 0.5"].seeds == (3,)
    model = box_model()
    photo = torch.from_numpy(iio.imread(tmp_path / "photo.png") / np.float32(255))
    of_photo = model.reconstruct(photo.permute(2, 0, 1)[None])
    torch.testing.assert_close(planes["b"], of_photo.planes, atol=1e-4, rtol=1e-4)


def test_stored_tokens_stand_where_a_stage1_model_alone_is_given(
    boxes: BoxFiles, tmp_path: Path
) -> None:
    run(sample, boxes.prior, classes=("mug",), seeds=(3, 5), out=str(tmp_path), size=4, views=1)
    stored = {"a": {"tokens": "tokens.npz"}, "b": {"tokens": "tokens.npz", "row": 1}}
    made = made_of(boxes.stage1, tmp_path, stored)
    assert [made[name].seeds for name in "ab"] == [(3,), (5,)]
    drawn = open_maker(boxes.prior).drawer().generate([1], [5])
    torch.testing.assert_close(made["b"].scene.planes, drawn.planes, atol=1e-4, rtol=1e-4)


def pictures(
    checkpoint: str, layout: str, behind: float | torch.Tensor = 1.0
) -> list[torch.Tensor]:
    plan = read_layout(layout)
    made = make_assets(plan, partial(open_maker, checkpoint, None), SamplingOptions(), "cpu")
    return Shoot(composed(plan, made), plan.camera, behind, SIDE).film(2)


def test_the_nearer_asset_hides_the_other_from_each_side(boxes: BoxFiles, tmp_path: Path) -> None:
    camera = {"radius": 6, "yaw_degrees": 0, "pitch_degrees": 0, "target": [0, 0, 0]}
    both = {
        "mug": MUG | {"at": [0, 0, 2]},
        "chair": {"class": "chair", "at": [0, 0, -2], "scale": 0.5},
    }
    layouts = {
        "both": both,
        "mug": {"mug": both["mug"], "chair": both["chair"] | {"shown": False}},
        "chair": {"mug": both["mug"] | {"shown": False}, "chair": both["chair"]},
    }
    films = {}
    for name, assets in layouts.items():
        content = {"camera": camera, "assets": assets}
        films[name] = pictures(boxes.prior, write_layout(tmp_path, content))
    middle = slice(SIDE // 2 - 1, SIDE // 2 + 1)
    for turn, nearer, other in ((0, "mug", "chair"), (1, "chair", "mug")):
        seen, alone, hidden = (
            films[name][turn][:, middle, middle] for name in ("both", nearer, other)
        )
        torch.testing.assert_close(seen, alone, atol=2e-2, rtol=0)
        assert (seen - hidden).abs().max() > 0.05


def test_the_background_is_the_same_in_every_frame(boxes: BoxFiles, tmp_path: Path) -> None:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    layout = write_layout(
        tmp_path, {"camera": {"radius": 40, "pitch_degrees": 0}, "assets": {"a": MUG}}
    )
    for frame in pictures(boxes.prior, layout, image):
        torch.testing.assert_close(frame[:, :4], image[0, :, :4])
        torch.testing.assert_close(frame[:, -4:], image[0, :, -4:])


def test_a_larger_scale_makes_a_larger_object(boxes: BoxFiles, tmp_path: Path) -> None:
    sizes = {}
    for name, resized in (("one", {}), ("two", {"scale": 2, "stretch": [1, 1, 1.5]})):
        layout = write_layout(tmp_path, {"assets": {"a": MUG | resized}})
        run(compose, boxes.prior, layout=layout, out=str(tmp_path / name), **SMALL)
        low, high = trimesh.load(tmp_path / name / "street.glb").bounds
        sizes[name] = high - low
    np.testing.assert_allclose(sizes["two"], sizes["one"] * [2, 2, 3], rtol=1e-4)


def test_a_gan_in_a_box_composes_too(tmp_path: Path) -> None:
    gan = save_gan(tmp_path / "gan.ckpt", tiny_gan(bias=20.0))
    assets = {"mug": MUG | {"truncation": 0.5}, "world": {"class": "chair", "at": [2, 0, 0]}}
    layout = write_layout(tmp_path, {"background": 0.2, "assets": assets})
    run(compose, gan, layout=layout, out=str(tmp_path / "out"), **SMALL)
    scene = trimesh.load(tmp_path / "out" / "street.glb")
    assert len(scene.graph.nodes_geometry) == 2
    assert scene.bounds[1][0] == pytest.approx(2.6, abs=0.1)  # the box's half is 0.6
    with pytest.raises(DataError, match=r"asset mid: .*gan.ckpt is of a GAN, which makes scenes"):
        made_of(gan, tmp_path, assets | {"mid": {"between": ["mug", "world"]}})


BESIDE = {"at": [0.2, 0, 0]}


@pytest.mark.parametrize(
    ("checkpoint", "assets", "sentence"),
    [
        ("prior", {"a": MUG, "b": MUG | BESIDE}, "the boxes of a and b meet: move them apart"),
        ("prior", {"a": {"class": "mgu"}}, "asset a: There is no class 'mgu'.* mean 'mug'"),
        ("prior", {"a": {"seed": 1}}, "asset a: .* draws scenes of classes: name one under class"),
        ("prior", {"a": MUG | {"semantics": "v.npy"}}, "asset a: .* without semantics: leave"),
        ("prior", {"a": MUG | {"truncation": 1}}, "asset a: --truncation is 1.* only a GAN's"),
        ("prior", {"a": {"image": "v.npy"}}, "asset a: .*v.npy is no readable image"),
        ("prior", {"a": {"tokens": "other.npz"}}, "asset a: .* holds tokens of stage-1 weights"),
        ("prior", {"a": {"tokens": "own.npz", "row": 1}}, "row of .*own.npz is 1, it must be from"),
        ("stage1", {"a": MUG}, "is a stage-1 checkpoint, which draws nothing"),
        ("unbounded", {"a": {"image": "photo.png"}}, "the scene of a fills all of space: obj"),
    ],
)
def test_what_cannot_stand_there_is_told_and_nothing_is_written(
    checkpoint: str,
    assets: dict[str, Any],
    sentence: str,
    boxes: BoxFiles,
    tiny_files: TinyFiles,
    tmp_path: Path,
) -> None:
    named = {"prior": boxes.prior, "stage1": boxes.stage1, "unbounded": tiny_files.stage1}
    save_photo(tmp_path / "photo.png", 1)
    np.save(tmp_path / "v.npy", np.zeros(3))
    for name, seed in (("own", 0), ("other", 1)):
        write_tokens_of(tmp_path, seed, name)
    layout = write_layout(tmp_path, {"assets": assets})
    out = tmp_path / "out"
    with pytest.raises(DataError, match=sentence) as caught:
        run(compose, named[checkpoint], layout=layout, out=str(out), **SMALL)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))
    assert not out.exists()


def write_tokens_of(folder: Path, seed: int, name: str) -> None:
    """A scene's tokens of a model of this seed, as `wild3d edit` stores them."""
    model = box_model(seed)
    save_stage1(model, folder / f"{name}.ckpt")
    tokens = torch.zeros(1, model.layout.tokens, dtype=torch.long)
    scenes = TokenScenes(tokens, [name], [-1], [-1])
    write_tokens(folder / f"{name}.npz", scenes, model, "")


def test_the_sizes_of_boxes_that_meet_are_printed(
    boxes: BoxFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = write_layout(tmp_path, {"assets": {"a": MUG, "b": MUG | {"scale": 3}}})
    with pytest.raises(DataError, match="the boxes of a and b meet"):
        run(compose, boxes.prior, layout=layout, out=str(tmp_path / "out"), **SMALL)
    lengths = re.findall(r"^[ab]: ([\d.]+) long", capsys.readouterr().out, re.MULTILINE)
    assert float(lengths[1]) == pytest.approx(3 * float(lengths[0]), rel=0.01)


def test_options_that_do_nothing_and_surfaces_that_are_none_are_told(
    boxes: BoxFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_photo(tmp_path / "photo.png", 1)
    layout = write_layout(tmp_path, {"assets": {"a": {"image": "photo.png"}}})
    command = ["compose", "--checkpoint", boxes.prior, "--layout", layout]
    command += ["--out", str(tmp_path / "out"), "--size", "16"]
    assert main([*command, "--temperature", "0.5"]) == 2
    assert "--temperature is 0.5, but no asset of the layout is drawn" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--level", "1000000", "--resolution", "6", "--frames", "2"]) == 2
    assert "No mesh for a: no surface at density 1e+06" in capsys.readouterr().err
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".png", ".mp4"}
