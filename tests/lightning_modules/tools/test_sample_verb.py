"""`wild3d sample` writes labelled grids of scenes that depend on class and seed alone."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from tiny_checkpoints import CLASSES, TinyFiles, autoregressive, run, save_prior, spread_model
from tiny_model import SIDE

from datamodules.errors import DataError
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.provenance import read_provenance
from lightning_modules.inference.scene_choice import SceneChoice
from lightning_modules.pictures.drawing import GAP
from lightning_modules.tools.sample import sample
from models.priors.conditions import ConditionDropout

TILE = SIDE + GAP


def read(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "tokens.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("kind", ["autoregressive", "masked"])
def test_a_scene_is_the_same_alone_and_in_a_grid(
    kind: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    path = getattr(tiny_files, kind)
    sample(path, seeds=(0, 1, 5), out=str(tmp_path / "grid"), size=SIDE, views=2, batch_size=4)
    one = {"classes": ("mug",), "seeds": (5,), "out": str(tmp_path / "one")}
    run(sample, path, **one, size=SIDE, views=2, guidance=1.0)
    grid, alone = read(tmp_path / "grid"), read(tmp_path / "one")
    assert grid["labels"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert grid["seeds"].tolist() == [0, 1, 5] * 3
    assert grid["names"][5:7].tolist() == ["mug-seed5", "oak-tree-seed0"]
    assert len(np.unique(grid["tokens"], axis=0)) > 4
    np.testing.assert_array_equal(grid["tokens"][5:6], alone["tokens"])
    maker = open_maker(path)
    (wanted,) = maker.wanted(SceneChoice((), ("mug",), (5,)))
    scene = wanted.make()
    model = open_maker(path).autoencoder
    again = model.decode_tokens(torch.from_numpy(alone["tokens"]).long())
    assert torch.equal(scene.planes, again.planes)
    view = scene.view(scene.canonical, SIDE, SIDE).rgb[0]
    expected = (view * 255).round().byte().permute(1, 2, 0).numpy()
    for folder, row, column in (("grid", 1, 2), ("one", 0, 0)):
        picture = iio.imread(tmp_path / folder / "samples.png")
        rows, columns = (3, 3) if folder == "grid" else (1, 1)
        sheet = picture[-rows * TILE :, -columns * TILE :]
        tile = sheet[row * TILE :, column * TILE :][:SIDE, :SIDE]
        np.testing.assert_array_equal(tile, expected)


def test_rows_are_labelled_and_printed_and_views_have_their_columns(
    tiny_files: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample(tiny_files.masked, seeds=(2, 3), out=str(tmp_path), size=SIDE, views=5)
    printed = capsys.readouterr().out
    assert all(f"row {row + 1}: {name}\n" in printed for row, name in enumerate(CLASSES))
    samples, views = (iio.imread(tmp_path / f"{name}.png") for name in ("samples", "views"))
    assert views.shape[0] == 3 * TILE
    assert samples.shape[0] > 3 * TILE  # seeds are named above the columns
    margin = views.shape[1] - 5 * TILE
    assert margin == samples.shape[1] - 2 * TILE
    names = views[:, :margin].reshape(3, TILE, margin, 3)
    assert (names < 128).any((1, 2, 3)).all()
    tiles = views[:SIDE, margin:].reshape(SIDE, 5, TILE, 3)[:, :, :SIDE]
    assert len(np.unique(tiles.swapaxes(0, 1), axis=0)) == 5
    found = read_provenance(tmp_path / "views.png")
    assert found is not None
    assert found.seeds == (2,)


def test_settings_of_masked_decoding_change_the_scenes(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    drawn = []
    for number, (steps, schedule) in enumerate([(None, None), (1, None), (3, "linear")]):
        out = tmp_path / str(number)
        settings = {"steps": steps, "schedule": schedule}
        run(sample, tiny_files.masked, out=str(out), size=2, views=1, **settings)
        drawn.append(read(out)["tokens"])
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[1], drawn[2])


def test_conditions_reach_the_prior(tiny_files: TinyFiles, tmp_path: Path) -> None:
    drawn = []
    for number, (size, time) in enumerate([(None, None), ((9.0, 0.1, 3.0), None), (None, "night")]):
        out, plain = tmp_path / str(number), tiny_files.masked
        seeds = tuple(range(12))
        run(
            sample,
            plain,
            seeds=seeds,
            out=str(out),
            size=2,
            views=1,
            size_condition=size,
            time_of_day=time,
        )
        drawn.append(read(out)["tokens"])
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 3}, "is an autoregressive prior: --steps is for masked ones only"),
        ({"schedule": "linear", "steps": 1}, "--steps, --schedule is for masked ones"),
        ({"size_condition": (1.0, 1.0, 1.0)}, "trained without sizes: leave --size_condition"),
        ({"time_of_day": "day"}, "trained without times: leave --time_of_day out"),
        ({"top_p": 0.0}, "--top_p is 0.0, it must be from 0.001 to 1"),
        ({"batch_size": 0}, "--batch_size is 0, it must be from 1"),
        ({"views": 0}, "--views is 0, it must be from 1"),
        ({"classes": ("cup",)}, "There is no class 'cup'"),
    ],
)
def test_what_does_not_fit_is_refused(
    settings: dict, message: str, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=message):
        run(sample, tiny_files.autoregressive, out=str(out), size=SIDE, **settings)
    assert not out.exists()


def test_masked_settings_out_of_range_are_refused(tiny_files: TinyFiles, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--steps is 0, it must be from 1"):
        run(sample, tiny_files.masked, out=str(tmp_path), steps=0)
    with pytest.raises(DataError, match=r"--size_condition is 0\.0, it must be from 0\.001"):
        run(sample, tiny_files.masked, out=str(tmp_path), size_condition=(1.0, 0.0, 1.0))


def test_what_training_always_knew_is_given(tiny_files: TinyFiles, tmp_path: Path) -> None:
    model, always = spread_model(), ConditionDropout(0.0, 0.0)
    path = tmp_path / "prior.ckpt"
    prior = save_prior(autoregressive(model), model, tiny_files.stage1, path, dropout=always)
    out = str(tmp_path / "out")
    with pytest.raises(DataError, match=r"with the class always given .* name classes instead of"):
        run(sample, prior, out=out, size=SIDE, views=1, classes=("any",))
    with pytest.raises(DataError, match=r"guidance is 2.0, and .* was never trained without cond"):
        run(sample, prior, out=out, size=SIDE, views=1, classes=("mug",), guidance=2.0)
    run(sample, prior, out=out, size=SIDE, views=1, classes=("mug",), seeds=(0,))


def test_a_prior_without_classes_takes_no_names_of_them(
    tiny_files: TinyFiles, tmp_path: Path
) -> None:
    model = spread_model()
    path = tmp_path / "prior.ckpt"
    prior = save_prior(autoregressive(model, classes=0), model, tiny_files.stage1, path)
    with pytest.raises(DataError, match="no class 'mug': the model was trained without any"):
        run(sample, prior, out=str(tmp_path / "out"), size=SIDE, views=1, classes=("mug",))
