"""A run whose checkpoints are damaged, refused or of no use."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from run_processes import SHORT, Runs, contents, last, probe
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import write_shards

from lightning_modules.callbacks.checkpoints import AtomicCheckpointIO
from lightning_modules.cli.main import main

pytestmark = pytest.mark.slow


def cut(share: float) -> Callable[[Path], None]:
    """Cuts a file to a share of its length."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return damage


def flip(path: Path) -> None:
    """Changes a bit in the middle of the weights."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def other(path: Path) -> None:
    """Replaces it by something that torch reads."""
    path.unlink()
    torch.save([torch.zeros(3)], path)


DAMAGES = [cut(0), cut(0.01), cut(0.5), cut(0.9999), flip, other]


def test_the_previous_checkpoint_is_of_an_earlier_state(begun: Path) -> None:
    kept = {path.name: path for path in (begun / "checkpoints").iterdir()}
    assert set(kept) == {"last.ckpt", "previous.ckpt", "best.ckpt"}
    seen = torch.load(kept["previous.ckpt"], weights_only=True)["images_seen"]
    assert (last(begun)["images_seen"], seen) == (24, 20)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_last_checkpoint_gives_way_to_the_previous(
    damage: Callable[[Path], None],
    run: Path,
    stage1_runs: Runs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(run / "checkpoints" / "last.ckpt")
    assert stage1_runs.fit(run, *SHORT) == 0
    said = capsys.readouterr().out
    assert "last.ckpt is of no use (it " in said
    assert "what was trained after 20 images is lost." in said
    assert f"Continuing {run} from {run}/checkpoints/previous.ckpt" in said
    assert last(run)["images_seen"] == 24
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/l2")] == [8, 16, 24]


def test_two_processes_continue_from_the_same_checkpoint(run: Path, stage1_runs: Runs) -> None:
    cut(0.5)(run / "checkpoints" / "last.ckpt")
    said = stage1_runs.fit_in_two(run, "--model.max_images", "36")
    assert said.count("what was trained after 20 images is lost. Continuing") == 1
    assert last(run)["images_seen"] == 36


def test_the_first_save_after_a_fallback_leaves_the_previous_checkpoint(
    run: Path, stage1_runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run / "checkpoints"
    flip(folder / "last.ckpt")

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", fail)
    with pytest.raises(RuntimeError, match="killed"):
        stage1_runs.fit(run, *SHORT)
    monkeypatch.undo()
    assert torch.load(folder / "previous.ckpt", weights_only=True)["images_seen"] == 20


def test_the_best_checkpoint_is_used_where_no_other_is_whole(
    run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(run / "checkpoints" / "last.ckpt")
    (run / "checkpoints" / "previous.ckpt").unlink()
    assert stage1_runs.fit(run, *SHORT) == 0
    assert f"from {run}/checkpoints/best.ckpt" in capsys.readouterr().out


def test_a_run_without_a_whole_checkpoint_says_what_is_there_and_is_left_alone(
    run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (run / "checkpoints").iterdir():
        cut(0.4)(path)
    (run / "checkpoints" / "previous.ckpt").write_bytes(b"")
    before = contents(run)
    assert stage1_runs.fit(run, *SHORT) == 2
    said = capsys.readouterr().err
    assert f"no checkpoint in {run}/checkpoints is whole (last.ckpt: it is cut short" in said
    assert "previous.ckpt: it is empty, best.ckpt: it is cut short" in said
    assert said.count("\n") == 1
    assert contents(run) == before


@pytest.mark.parametrize("verb", ["fit", "validate"])
def test_a_named_checkpoint_that_is_damaged_is_not_replaced_by_another(
    verb: str, run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    named = run / "checkpoints" / "best.ckpt"
    flip(named)
    arguments = stage1_runs.arguments(run, *SHORT, "--ckpt_path", str(named))
    assert main([verb, *arguments[1:]]) == 2
    said = capsys.readouterr().err
    assert f"{named} is no checkpoint: it is damaged, the checksum of its record" in said
    assert f"; {run}/checkpoints/last.ckpt is whole." in said


def test_a_checkpoint_of_no_training_is_refused(
    tmp_path: Path, tiny_files: object, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("fit", "validate"):
        arguments = stage1_runs.arguments(tmp_path, "--ckpt_path", tiny_files.stage1)
        assert main([verb, *arguments[1:]]) == 2
        assert "is of no training, its images_seen is None: name" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["fit", "validate"])
@pytest.mark.parametrize("content", [b"", b"root:x:0:0:\n", b"\x80\x02}q\x00.", b"PK\x03\x04"])
def test_a_file_of_others_is_refused_before_anything_reads_it(
    content: bytes,
    verb: str,
    tmp_path: Path,
    stage1_runs: Runs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_bytes(content)
    named = ["--ckpt_path", str(tmp_path / "file")]
    assert main([verb, *stage1_runs.arguments(tmp_path / "run", *named)[1:]]) == 2
    assert f"{tmp_path}/file is no checkpoint: it is " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_in_a_checkpoint_change_nothing(
    run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "checkpoints" / "last.ckpt"
    others = {"_class_path": "os.path", "max_images": 20}
    torch.save(last(run) | {"hyper_parameters": others}, path)
    assert stage1_runs.fit(run, *SHORT, "--ckpt_path", str(path)) == 0
    assert last(run)["images_seen"] == 24


def test_a_refused_launch_leaves_nothing_in_the_folder_of_a_run(
    run: Path, stage1_runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    for wrong in (["--best_checkpoint.monitor", "val/x"], ["--data.root", "nowhere"]):
        assert stage1_runs.fit(run, *SHORT, *wrong) == 2
        assert contents(run) == before
    larger = ["--model.autoencoder.codebook.codes", "16"]
    assert stage1_runs.fit(run, *SHORT, *larger) == 2
    assert contents(run) == before


@pytest.mark.parametrize("factor", [1e30, 1e39])  # infinite from 1e39 on
@pytest.mark.parametrize("begin", [True, False], ids=["at the beginning", "in the middle"])
def test_a_run_that_diverged_goes_on_from_before(
    begin: bool,
    factor: float,
    run: Path,
    stage1_runs: Runs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    longer = ["--model.max_images", "32"]
    if begin:
        shutil.rmtree(run)
    # As a learning rate does that makes weights infinite within one step.
    explodes = probe("Exploding", {"images": 4 if begin else 28, "factor": factor})
    assert stage1_runs.fit(run, *longer, *explodes) == 2
    said = capsys.readouterr().err
    assert "lower the learning rate" in said
    assert "begins anew" in said if begin else "after 24 images" in said
    assert stage1_runs.fit(run, *longer) == 0
    assert last(run)["images_seen"] == 32
    assert all(value.isfinite().all() for value in last(run)["state_dict"].values())


def test_a_run_without_validation_images_says_so_and_names_only_what_is_there(
    tmp_path: Path, tiny_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "shards", val=())
    runs, run = Runs(tiny_config, tmp_path / "shards"), tmp_path / "run"
    assert runs.fit(run, *SHORT) == 0
    said = "".join(capsys.readouterr().out.split())
    assert "Thisrunisnotvalidated" in said
    assert f"use{run}/checkpoints/last.ckpt" in said
    assert "Sheetsofpictures:" not in said
    assert f"Checkpoint:{run}/checkpoints/last.ckpt" in said
    assert '"protocol"' not in (run / "result.json").read_text()
    assert main(["validate", *runs.arguments(run, *SHORT)[1:]]) == 2
    assert "name a file, e.g. last.ckpt" in capsys.readouterr().err
