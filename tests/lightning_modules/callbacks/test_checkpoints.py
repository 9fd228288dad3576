from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.callbacks.checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
)
from lightning_modules.training.base import TrainingModule


def test_an_interrupted_save_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"images_seen": 1}, path)

    def half(checkpoint: object, file: object) -> None:
        file.write(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"images_seen": 2}, path)
    assert torch.load(path, weights_only=True) == {"images_seen": 1}


class FakeTrainer:
    """As much of a trainer as `BestCheckpoint` asks for."""

    def __init__(self, folder: Path) -> None:
        self.default_root_dir = str(folder)
        self.sanity_checking = False
        self.state = SimpleNamespace(fn="fit")
        self.ckpt_path: str | None = None
        self.callback_metrics: dict[str, torch.Tensor] = {}
        self.saved: list[float] = []
        self.is_global_zero, self.enable_validation, self.num_val_batches = True, True, [1]
        self.strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)

    def save_checkpoint(self, path: Path) -> None:
        assert path.name == "best.ckpt"
        self.saved.append(float(self.callback_metrics["val/psnr"]))


class Tiny(TrainingModule):
    """A module of one weight that has seen as many images as it is told."""

    def __init__(self, images_seen: int = 0) -> None:
        super().__init__(1000, 1.0, 0)
        self.weight, self.images_seen = torch.nn.Parameter(torch.ones(1)), images_seen

    def whole_average(self) -> torch.nn.Module:
        return self

    def pictures(self, average: object, probe: object, count: int) -> list[object]:
        return []

    def metric_names(self) -> tuple[str, ...]:
        return ("psnr",)

    def trained(self) -> "Tiny":
        return self


def validate(best: BestCheckpoint, trainer: FakeTrainer, value: float) -> None:
    trainer.callback_metrics = {"val/psnr": torch.tensor(value)}
    best.on_validation_end(trainer, Tiny())


@pytest.mark.parametrize(("mode", "saved"), [("max", [1.0, 3.0, 4.0]), ("min", [1.0, 0.5])])
def test_only_improvements_are_saved(mode: str, saved: list[float], tmp_path: Path) -> None:
    best, trainer = BestCheckpoint(mode=mode), FakeTrainer(tmp_path)
    for value in (1.0, 3.0, 2.0, 0.5, 4.0):
        validate(best, trainer, value)
    assert trainer.saved == saved


def test_the_best_value_survives_a_restart(tmp_path: Path) -> None:
    first, trainer = BestCheckpoint(), FakeTrainer(tmp_path)
    validate(first, trainer, 3.0)
    second = BestCheckpoint()
    second.load_state_dict(first.state_dict())
    validate(second, trainer, 2.0)
    assert trainer.saved == [3.0]


class Figures(Tiny):
    """A module whose figures are made with these features."""

    def __init__(self, features: str) -> None:
        super().__init__()
        self.features = features

    def facts(self) -> dict[str, str]:
        return {"features": self.features}


@pytest.mark.parametrize(
    ("monitor", "features", "own", "kept"),
    [
        ("val/psnr", "a", True, 3.0),
        ("val/ssim", "a", True, None),
        ("val/psnr", "b", True, None),
        ("val/psnr", "a", False, None),
    ],
)
def test_the_best_value_of_another_figure_or_run_is_forgotten(
    tmp_path: Path,
    monitor: str,
    features: str,
    own: bool,
    kept: float | None,
) -> None:
    first, trainer = BestCheckpoint(), FakeTrainer(tmp_path)
    first.on_train_start(trainer, Figures("a"))
    validate(first, trainer, 3.0)
    trainer.ckpt_path = f"{tmp_path if own else tmp_path / 'other'}/checkpoints/last.ckpt"
    second = BestCheckpoint(monitor)
    second.load_state_dict(first.state_dict())
    second.on_train_start(trainer, Figures(features))
    assert second.best == kept


def test_what_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    best, trainer = BestCheckpoint(), FakeTrainer(tmp_path)
    for value in (float("nan"), 1.0, float("nan"), float("inf")):
        validate(best, trainer, value)
    assert trainer.saved == [1.0]


def test_a_figure_that_was_not_computed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"monitor is 'val/fid', the figures of .* are val/psnr\."):
        validate(BestCheckpoint("val/fid"), FakeTrainer(tmp_path), 1.0)


class TimedTrainer:
    """As much of a trainer as `LastCheckpoint` asks for; a save takes `saving` seconds."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, saving: float = 0.0) -> None:
        self.default_root_dir = str(folder)
        self.is_global_zero, self.ckpt_path = True, None
        self.world_size, self.other_is_due, self.questions = 1, False, 0
        self.strategy = SimpleNamespace(reduce_boolean_decision=self.any_rank)
        self.now, self.saving = 1000.0, saving
        self.saved: list[float] = []
        room = "lightning_modules.callbacks"
        monkeypatch.setattr(f"{room}.checkpoints.time.monotonic", lambda: self.now)
        monkeypatch.setattr(f"{room}.stopping.signal.signal", lambda number, handler: None)
        self.module = Tiny()

    def any_rank(self, decision: bool, all: bool) -> bool:
        assert not all
        self.questions += 1  # the first one after a batch is whether to save
        return decision or (self.questions == 1 and self.other_is_due)

    def save_checkpoint(self, path: Path) -> None:
        assert path == Path(self.default_root_dir) / "checkpoints" / "last.ckpt"
        self.saved.append(self.now)
        self.now += self.saving

    def train_until(self, last: LastCheckpoint, now: float, batch: int = 0) -> None:
        self.now, self.module.images_seen, self.questions = now, int(now), 0
        last.on_train_batch_end(self, self.module, None, None, batch)


def test_the_last_checkpoint_is_written_once_its_minutes_have_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, trainer = LastCheckpoint(minutes=10), TimedTrainer(tmp_path, monkeypatch, saving=60)
    last.on_train_start(trainer, trainer.module)
    for now in (1001, 1599, 1600, 1661, 2259, 2260):  # saved from 1600 to 1660: due again at 2260
        trainer.train_until(last, now)
    assert trainer.saved == [1600, 2260]


def test_the_last_checkpoint_is_written_at_the_end_however_short_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, trainer = LastCheckpoint(minutes=10), TimedTrainer(tmp_path, monkeypatch)
    last.on_train_start(trainer, trainer.module)
    trainer.train_until(last, 1005)
    last.on_train_end(trainer, trainer.module)
    assert trainer.saved == [1005]


def test_of_several_ranks_any_clock_decides_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, trainer = LastCheckpoint(minutes=10), TimedTrainer(tmp_path, monkeypatch)
    trainer.world_size = 2
    last.on_train_start(trainer, trainer.module)
    trainer.other_is_due = True
    trainer.train_until(last, 1500, batch=17)  # the ranks do not ask each other now
    assert trainer.saved == []
    trainer.train_until(last, 1501, batch=32)
    assert trainer.saved == [1501]


def test_a_disk_without_locks_lets_everyone_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("datamodules.lock.fcntl.lockf", refuse)
    strategy = SimpleNamespace(broadcast=lambda decision: decision)
    trainer = SimpleNamespace(
        is_global_zero=True, default_root_dir=str(tmp_path), strategy=strategy
    )
    first, second = LastCheckpoint(), LastCheckpoint()
    for last in (first, second):
        last.setup(trainer, None, "fit")
    for last in (first, second):
        last.teardown(trainer, None, "fit")
    assert list(tmp_path.iterdir()) == []
