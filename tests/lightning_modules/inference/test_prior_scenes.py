"""A prior comes with the stage-1 model it was trained with, or is refused."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import (
    CLASSES,
    TinyFiles,
    autoregressive,
    save_prior,
    save_stage1,
    spread_model,
)
from tiny_model import SIDE

from datamodules.errors import DataError
from lightning_modules.inference.loading import load_stage1, weights_hash
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.stage1_link import Stage1Link


@pytest.mark.parametrize("kind", ["autoregressive", "masked"])
def test_the_averaged_prior_comes_with_its_stage1_model(kind: str, tiny_files: TinyFiles) -> None:
    path = getattr(tiny_files, kind)
    loaded = open_maker(path)
    assert isinstance(loaded, PriorScenes)
    stored = torch.load(path, weights_only=True)
    assert loaded.names == CLASSES
    prior = loaded.generator.prior
    assert prior.recipe() == stored["model"]
    for name, value in prior.state_dict().items():
        assert torch.equal(value, stored["state_dict"][f"ema.{name}"])
    assert not prior.training
    assert not any(p.requires_grad for p in prior.parameters())
    assert weights_hash(loaded.generator.autoencoder) == stored["stage1"]["hash"]


def test_a_moved_stage1_checkpoint_is_asked_for_and_found(tmp_path: Path) -> None:
    model = spread_model()
    gone, moved = tmp_path / "gone.ckpt", save_stage1(model, tmp_path / "moved.ckpt")
    prior = save_prior(autoregressive(model), model, str(gone), tmp_path / "prior.ckpt")
    expected = rf"prior\.ckpt needs the stage-1 checkpoint {gone}, .* with --stage1\."
    with pytest.raises(DataError, match=expected):
        open_maker(prior)
    found = open_maker(prior, moved).autoencoder
    assert weights_hash(found) == weights_hash(model)
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .*elsewhere\.ckpt"):
        open_maker(prior, str(tmp_path / "elsewhere.ckpt"))


def linked(folder: Path, run: Path) -> tuple[str, Path]:
    """A stage-1 checkpoint and a prior's that says where that is, both under a folder."""
    model = spread_model()
    for place in (folder / "one", run):
        place.mkdir(parents=True)
    stage1 = save_stage1(model, folder / "one" / "best.ckpt")
    path = Path(save_prior(autoregressive(model), model, stage1, run / "best.ckpt"))
    content = torch.load(path, weights_only=True)
    content["stage1"] = asdict(Stage1Link.made(stage1, weights_hash(model), run))
    torch.save(content, path)
    return stage1, path


def test_a_prior_is_opened_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, prior = linked(Path("runs"), Path("runs/prior/checkpoints"))
    prior = prior.resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert isinstance(open_maker(str(prior)), PriorScenes)


def test_a_prior_and_its_stage1_model_are_moved_together_or_alone(tmp_path: Path) -> None:
    stage1, prior = linked(tmp_path / "runs", tmp_path / "runs" / "prior")
    alone = shutil.copy(prior, tmp_path / "alone.ckpt")
    assert isinstance(open_maker(alone), PriorScenes)  # by the absolute path
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert isinstance(open_maker(str(tmp_path / "moved/prior/best.ckpt")), PriorScenes)
    with pytest.raises(DataError, match=f"needs the stage-1 checkpoint {stage1}, which is not"):
        open_maker(alone)


def test_a_prior_in_a_linked_folder_finds_its_stage1_model(tmp_path: Path) -> None:
    (tmp_path / "disk/deep").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/prior").symlink_to(tmp_path / "disk/deep")
    model = spread_model()
    stage1 = save_stage1(model, tmp_path / "stage1.ckpt")
    link = Stage1Link.made(stage1, "", tmp_path / "runs/prior/checkpoints")
    assert link.relative == "../../../stage1.ckpt"
    found = link.places(tmp_path / "runs/prior/checkpoints/best.ckpt")[0]
    assert found.resolve() == Path(stage1).resolve()


def test_the_stage1_model_of_the_right_weights_is_taken_of_two(tmp_path: Path) -> None:
    linked(tmp_path / "runs", tmp_path / "runs" / "prior")
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "runs", copy)
    save_stage1(spread_model(1), copy / "one" / "best.ckpt")  # trained on since
    assert isinstance(open_maker(str(copy / "prior/best.ckpt")), PriorScenes)


@pytest.mark.parametrize("stored", [None, 3, {"path": "a"}, {"path": 1, "hash": "b"}, ["a", "b"]])
def test_a_prior_that_does_not_say_its_stage1_model_is_refused(
    stored: object, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    content = torch.load(tiny_files.masked, weights_only=True)
    torch.save(content | {"stage1": stored}, tmp_path / "prior.ckpt")
    with pytest.raises(DataError, match=r"prior\.ckpt can't be used: stage1"):
        open_maker(str(tmp_path / "prior.ckpt"))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("classes", "chair"),
        ("classes", [1, 2]),
        ("sampling", {"guidance": "x"}),
        ("sampling", {"nothing": 1}),
        ("dropout", [0.1]),
    ],
)
def test_settings_of_other_types_are_refused(
    part: str, value: object, tiny_files: TinyFiles, tmp_path: Path
) -> None:
    content = torch.load(tiny_files.masked, weights_only=True)
    torch.save(content | {part: value}, tmp_path / "prior.ckpt")
    with pytest.raises(DataError, match=rf"prior\.ckpt can't be used: {part}"):
        open_maker(str(tmp_path / "prior.ckpt"))


def test_a_retrained_stage1_checkpoint_is_refused(tmp_path: Path) -> None:
    model, retrained = spread_model(), spread_model(1)
    path = save_stage1(retrained, tmp_path / "best.ckpt")
    prior = save_prior(autoregressive(model), model, path, tmp_path / "prior.ckpt")
    old, new = weights_hash(model)[:12], weights_hash(retrained)[:12]
    with pytest.raises(DataError, match=rf"stage-1 weights {old}, {path} holds {new}: .*--stage1"):
        open_maker(prior)


def test_a_damaged_copy_of_the_stage1_model_gives_way_to_the_original(tmp_path: Path) -> None:
    linked(tmp_path / "runs", tmp_path / "runs" / "prior")
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "runs", copy)
    (copy / "one/best.ckpt").write_bytes(b"")
    assert isinstance(open_maker(str(copy / "prior/best.ckpt")), PriorScenes)
    (tmp_path / "runs").rename(tmp_path / "gone")
    with pytest.raises(
        DataError, match=rf"{copy}/one/best\.ckpt is no stage-1 checkpoint: it is em"
    ):
        open_maker(str(copy / "prior/best.ckpt"))


def test_checkpoints_of_the_other_stage_are_named(tiny_files: TinyFiles) -> None:
    with pytest.raises(DataError, match=r"is a stage-1 checkpoint: an edit draws tokens, name one"):
        open_maker(tiny_files.stage1).token_drawer("an edit")
    with pytest.raises(DataError, match=r"is no stage-1 checkpoint: its model is a MaskedPrior"):
        load_stage1(tiny_files.masked)


def test_a_prior_is_measured_in_the_canonical_view_of_its_scenes(tiny_files: TinyFiles) -> None:
    maker = open_maker(tiny_files.autoregressive)
    drawer = maker.drawer()
    assert (drawer.classes, drawer.resolution) == (3, SIDE)
    scenes = drawer.generate([0, 2], [5, 6])
    camera = drawer.cameras(scenes, [0, 2], [5, 6])
    rgb = scenes.view(camera, SIDE, SIDE).rgb
    torch.testing.assert_close(rgb, scenes.view(scenes.canonical, SIDE, SIDE).rgb)
    low, high = scenes.view(camera, SIDE, SIDE).disparity_range.unbind(1)
    space = load_stage1(tiny_files.stage1).space
    assert low.tolist() == pytest.approx([1 / space.far] * 2)
    assert high.tolist() == pytest.approx([1 / space.near] * 2)
