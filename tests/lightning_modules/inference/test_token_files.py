"""Scenes stored as tokens are shown again, with the stage-1 model they are of alone."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tiny_checkpoints import TinyFiles, run, save_stage1, spread_model
from tiny_model import SIDE

from datamodules.errors import DataError
from lightning_modules.cli.main import main
from lightning_modules.inference.loading import load_stage1, weights_hash
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.inference.scene_choice import SceneChoice
from lightning_modules.inference.token_files import (
    TokenScenes,
    distinct_names,
    read_tokens,
    write_tokens,
)
from lightning_modules.tools.edit import edit
from lightning_modules.tools.mesh import mesh
from lightning_modules.tools.sample import sample
from lightning_modules.tools.video import video

RIGHT = (0.5, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def stored(tiny_files: TinyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scenes, drawn under conditions; do not alter."""
    out = tmp_path_factory.mktemp("stored")
    conditioned = {"steps": 2, "size_condition": (9.0, 0.1, 3.0), "time_of_day": "dawn_dusk"}
    run(sample, tiny_files.masked, seeds=(4, 7), out=str(out), size=2, views=1, **conditioned)
    return out / "tokens.npz"


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def planes(checkpoint: str, choice: SceneChoice) -> dict[str, torch.Tensor]:
    maker = open_maker(checkpoint)
    return {scene.name: scene.make().planes for scene in maker.wanted(choice)}


def test_stored_scenes_are_those_that_were_drawn(stored: Path, tiny_files: TinyFiles) -> None:
    arrays, model = arrays_of(stored), load_stage1(tiny_files.stage1)
    assert {name: array.dtype.kind for name, array in arrays.items()} == {
        **{"tokens": "i", "labels": "i", "seeds": "i"},
        **{"names": "U", "stage1": "U", "wild3d": "U"},
    }
    assert str(arrays["stage1"]) == weights_hash(model)
    choice = SceneChoice(tokens=str(stored))
    for checkpoint in (tiny_files.stage1, tiny_files.masked, tiny_files.autoregressive):
        found = planes(checkpoint, choice)
        assert list(found) == [
            f"{name}-seed{seed}" for name in ("chair", "mug", "oak-tree") for seed in (4, 7)
        ]
        expected = model.decode_tokens(torch.from_numpy(arrays["tokens"]).long()).planes
        torch.testing.assert_close(torch.cat(list(found.values())), expected)


def test_a_plain_scene_is_filmed_alike_from_its_class_and_from_its_tokens(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    path, plain = tiny_files.autoregressive, {"formats": ("gif",), "frames": 2, "size": SIDE}
    drawn = {"classes": ("mug",), "seeds": (3,)}
    run(sample, path, **drawn, out=str(tmp_path / "drawn"), size=2, views=1)
    run(video, path, **drawn, out=str(tmp_path / "class"), **plain)
    tokens = str(tmp_path / "drawn" / "tokens.npz")
    run(video, tiny_files.stage1, tokens=tokens, out=str(tmp_path / "tokens"), **plain)
    first, second = (
        iio.imread(tmp_path / name / "mug-seed3-wiggle.gif") for name in ("class", "tokens")
    )
    np.testing.assert_array_equal(first, second)


def test_rows_choose_scenes_on_the_command_line(
    stored: Path, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    command = ["mesh", "--checkpoint", tiny_files.stage1, "--tokens", str(stored)]
    command += ["--rows", "5,0,5", "--resolution", "6", "--out", str(tmp_path)]
    assert main(command) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"oak-tree-seed7.glb", "chair-seed4.glb"}
    for name, seeds in (("oak-tree-seed7", (7,)), ("chair-seed4", (4,))):
        found = read_provenance(tmp_path / f"{name}.glb")
        assert found is not None
        assert found.seeds == seeds


def test_edits_are_stored_to_be_shown(tiny_files: TinyFiles, tmp_path: Path) -> None:
    out, photo = str(tmp_path), tiny_files.first
    redraw = {"seeds": (0, 4), "label": "mug", "out": out, "size": 2}
    run(edit, tiny_files.masked, image=photo, region=RIGHT, action="resample", **redraw)
    edit(tiny_files.stage1, photo, RIGHT, "insert", tiny_files.second, out=out, size=2)
    model = open_maker(tiny_files.masked).autoencoder
    redrawn, inserted = (
        read_tokens(str(tmp_path / f"first-{action}.npz"), model, "it")
        for action in ("resample", "insert")
    )
    assert redrawn.names == ["first-resample-seed0", "first-resample-seed4"]
    assert (redrawn.labels, redrawn.seeds) == ([1, 1], [0, 4])
    assert (inserted.names, inserted.labels, inserted.seeds) == (["first-insert"], [-1], [-1])
    assert (inserted.drawn_with(0), redrawn.drawn_with(1)) == ((), (4,))
    assert (redrawn.tokens[:, ::2] == inserted.tokens[:, ::2]).all()  # the left half is kept
    tokens = str(tmp_path / "first-insert.npz")
    run(mesh, tiny_files.masked, tokens=tokens, resolution=6, out=out)
    assert (tmp_path / "first-insert.glb").is_file()


def test_names_are_distinct_and_safe() -> None:
    assert distinct_names(["a b-seed0", "c"]) == ["a-b-seed0", "c"]
    assert distinct_names(["a b", "A/b", "c"]) == ["a-b-row0", "A-b-row1", "c-row2"]
    assert distinct_names(["../../x"]) == ["x"]
    assert distinct_names(["..", "c"]) == ["scene", "c"]


def test_tokens_and_weights_are_enough(tiny_files: TinyFiles, tmp_path: Path) -> None:
    model, path = load_stage1(tiny_files.stage1), tmp_path / "own.npz"
    np.savez(path, tokens=np.zeros((2, 4), np.uint8), stage1=weights_hash(model))
    found = read_tokens(str(path), model, "it")
    assert found.tokens.dtype == torch.int64
    assert found.names == ["own-row0", "own-row1"]
    assert found.labels == found.seeds == [-1, -1]


def test_tokens_of_another_stage1_model_are_refused(
    stored: Path, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    model, other = load_stage1(tiny_files.stage1), spread_model(1)
    path = save_stage1(other, tmp_path / "other.ckpt")
    old, new = weights_hash(model)[:12], weights_hash(other)[:12]
    message = (
        rf"tokens\.npz holds tokens of stage-1 weights {old}, {path} decodes those of {new}: na"
    )
    with pytest.raises(DataError, match=message):
        run(video, path, tokens=str(stored), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": np.zeros((2, 5), int)}, "has 5 tokens a scene, best.ckpt decodes 4: name"),
        ({"tokens": np.full((2, 4), 8)}, "holds token 8, best.ckpt has codes 0 to 7: name"),
        ({"tokens": np.full((2, 4), -1)}, "holds token -1, best.ckpt has codes 0 to 7"),
        (
            {"tokens": np.zeros((0, 4), int)},
            r"tokens of shape \(0, 4\) and type int64: write \(N, 4\)",
        ),
        ({"tokens": np.zeros(4, int)}, r"tokens of shape \(4,\)"),
        ({"tokens": np.zeros((2, 4))}, "and type float64: write"),
        ({"tokens": None}, "holds no tokens with the hash of their stage-1 weights: name a tok"),
        ({"stage1": None}, "holds no tokens with the hash"),
        ({"stage1": np.array([["a"], ["b"]])}, "holds no tokens with the hash"),
        ({"stage1": np.array(7)}, "holds no tokens with the hash"),
        ({"names": np.array(["one"])}, r"names of shape \(1,\) and type <U3: write 2 of text"),
        (
            {"seeds": np.array([0.5, 1])},
            r"seeds of shape \(2,\) and type float64: .* 2 of integers",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(
    changes: dict, message: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    model, path = load_stage1(tiny_files.stage1), tmp_path / "own.npz"
    scenes = TokenScenes(torch.zeros(2, 4, dtype=torch.int64), ["a", "b"], [0, 1], [2, 3])
    write_tokens(path, scenes, model, "note")
    arrays = arrays_of(path) | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=rf"own\.npz .*{message}"):
        read_tokens(str(path), model, "best.ckpt")


def test_missing_and_broken_files_are_named(tiny_files: TinyFiles, tmp_path: Path) -> None:
    model, path = load_stage1(tiny_files.stage1), tmp_path / "broken.npz"
    with pytest.raises(FileNotFoundError, match=r"no file .*broken\.npz: check --tokens"):
        read_tokens(str(path), model, "it")
    for content in (b"", b"PK\x03\x04 and no more", b"anything"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"broken\.npz can't be read as \.npz"):
            read_tokens(str(path), model, "it")
    np.save(tmp_path / "one.npy", np.zeros((2, 4), int))
    with pytest.raises(DataError, match=r"one\.npy holds no tokens with the hash"):
        read_tokens(str(tmp_path / "one.npy"), model, "it")


def test_one_way_to_name_scenes_and_rows_within_it(stored: Path, tiny_files: TinyFiles) -> None:
    maker = open_maker(tiny_files.masked)
    for given, message in (
        ({"classes": ("mug",), "tokens": str(stored)}, "--classes and --tokens are given: name"),
        ({"images": ("a.png",), "tokens": str(stored)}, "--images and --tokens are given"),
        ({"classes": ("mug",), "rows": (1,)}, r"--rows is 1: they are of --tokens, which is m"),
        ({"tokens": str(stored), "rows": (0, 6)}, "--rows names 6, .* holds 6 scenes: .* 0 to 5"),
        ({"tokens": str(stored), "rows": (-1,)}, "--rows names -1"),
    ):
        with pytest.raises(DataError, match=message):
            maker.wanted(SceneChoice(**given))
