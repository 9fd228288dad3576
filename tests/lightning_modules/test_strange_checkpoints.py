"""Runs whose checkpoints are whole and hold something else than they should."""

from pathlib import Path
from typing import Any

import pytest
import torch
from run_processes import SHORT, Runs, contents, last

pytestmark = pytest.mark.slow


def replaced(content: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """The content of a checkpoint with another value at a place, e.g. `loops.fit_loop`."""
    *outer, name = [int(key) if key.isdigit() else key for key in place.split("/")]
    inner: Any = content
    for key in outer:
        inner = inner[key]
    inner[name] = value
    return content


def without_end(turns: int) -> dict[str, Any]:
    """A small dictionary of 10 to so many counts, or with no turns one in itself."""
    inner: dict[str, Any] = {}
    inner["x"] = 1 if turns else inner
    for _ in range(turns):
        inner = dict.fromkeys("abcdefghij", inner)
    return inner


@pytest.mark.parametrize(
    ("place", "value"), [("loops/fit_loop", without_end(30)), ("more", without_end(0))]
)
def test_content_that_nothing_asks_for_does_no_harm(
    place: str, value: object, run: Path, stage1_runs: Runs
) -> None:
    torch.save(replaced(last(run), place, value), run / "checkpoints" / "last.ckpt")
    assert stage1_runs.fit(run, *SHORT) == 0
    assert last(run)["images_seen"] == 24


GROUP, MOMENTS = "optimizer_states/0/param_groups/0", "optimizer_states/1/state/0"
PROGRESS = "loops/fit_loop/epoch_loop.batch_progress"


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("format", torch.zeros(2), "is of format a Tensor, this version continues format 2"),
        ("model/class_path", "models.x.Prior", "The run holds a Prior, this configuration"),
    ],
)
def test_a_run_of_another_model_is_not_continued_from_before(
    place: str,
    value: object,
    words: str,
    run: Path,
    stage1_runs: Runs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = replaced(last(run), "format", 1)  # as other models have it
    torch.save(replaced(other, place, value), run / "checkpoints" / "last.ckpt")
    assert stage1_runs.fit(run, *SHORT) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (MOMENTS, "x", "its optimizer_states.1.state.0 is 'x' without step"),
        ("callbacks/RunClock/seconds", -1, "RunClock.seconds is -1, it must be"),
        ("loops", {}, "it fails with KeyError: 'fit_loop'"),
    ],
)
def test_states_that_are_none_give_way_to_the_previous_checkpoint(
    place: str,
    value: object,
    words: str,
    run: Path,
    stage1_runs: Runs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run / "checkpoints" / "last.ckpt"
    torch.save(replaced(last(run), place, value), path)
    named = ["--ckpt_path", str(path)]  # this one or none
    assert stage1_runs.fit(run, *SHORT, *named) == 2
    assert f"{path} can't be taken up ({words}" in capsys.readouterr().err
    assert stage1_runs.fit(run, *SHORT) == 0
    said = capsys.readouterr().out
    assert f"last.ckpt is of no use ({words}" in said
    assert "what was trained after 20 images is lost. Continuing" in said


def test_a_run_with_nothing_but_its_best_checkpoint_goes_on_from_there(
    run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "checkpoints" / "previous.ckpt").unlink()
    (run / "checkpoints" / "last.ckpt").unlink()
    (run / "checkpoints" / "last.ckpt").symlink_to("nowhere")
    assert stage1_runs.fit(run, *SHORT) == 0
    said = capsys.readouterr().out
    assert "last.ckpt is of no use (it is a link to nothing): what was trained after" in said
    assert last(run)["images_seen"] == 24


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_folder_where_a_checkpoint_will_be_is_refused_before_it_is_trained(
    name: str, run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "checkpoints" / name
    path.unlink()
    path.mkdir()
    before = contents(run)
    assert stage1_runs.fit(run, *SHORT) == 2
    assert f"{path} is a folder, the run keeps a checkpoint there: move" in capsys.readouterr().err
    assert contents(run) == before


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("images_seen", -1, "its images_seen is -1, it must be from 0"),
        (PROGRESS, [], "epoch_loop.batch_progress is a list, not a count"),
        (f"{PROGRESS}/current/ready", -1, "current.ready is -1, it must be from 0"),
        (f"{PROGRESS}/total/completed", "x", "total.completed is 'x', not a count"),
        ("loops", without_end(0), "last.ckpt: it fails with KeyError: 'fit_loop'"),
        ("optimizer_states", [], "its optimizer_states are 0, not 2"),
        ("optimizer_states/1", None, "its optimizer_states.1 is None without param_groups"),
        (f"{GROUP}/params", 7, "param_groups.0.params are not those of the model"),
        (f"{GROUP}/amsgrad", None, "param_groups.0.amsgrad is None, not False"),
        (MOMENTS, "x", "state.0 is 'x' without step"),
        (f"{MOMENTS}/exp_avg", torch.zeros(3), "state.0.exp_avg is no finite array of shape"),
        (f"{MOMENTS}/step", torch.tensor(float("nan")), "state.0.step is no finite array"),
        ("callbacks/BestCheckpoint", [1], "last.ckpt: it fails with TypeError"),
        ("loops/fit_loop", {"epoch_progress": 3}, "last.ckpt: it fails with TypeError"),
        ("callbacks/BestCheckpoint/best", [], "BestCheckpoint.best is a list, not float"),
        ("callbacks/RunClock/seconds", "x", "RunClock.seconds is 'x', not float"),
        ("model/init_args/sampling", torch.zeros(3), "can't be taken up (TypeError"),
        ("pytorch-lightning_version", "x", "last.ckpt: InvalidVersion"),
        ("lr_schedulers", None, "last.ckpt: its lr_schedulers is None"),
        ("data", None, "last.ckpt: its data are None"),
    ],
)
def test_a_whole_checkpoint_of_strange_content_is_told_in_one_sentence(
    place: str,
    value: object,
    words: str,
    begun: Path,
    tmp_path: Path,
    stage1_runs: Runs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(replaced(last(begun), place, value), path)
    before = contents(tmp_path)
    assert stage1_runs.fit(tmp_path / "run", "--model.max_images", "28") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("wild3d")]
    assert len(said) == 1
    assert words in said[0]
    assert "last.ckpt" in said[0]
    assert contents(tmp_path) == before
