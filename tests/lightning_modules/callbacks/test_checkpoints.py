from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lightning_modules.callbacks.checkpoints import AtomicCheckpointIO, BestCheckpoint


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
        self.callback_metrics: dict[str, torch.Tensor] = {}
        self.saved: list[float] = []

    def save_checkpoint(self, path: Path) -> None:
        assert path.name == "best.ckpt"
        self.saved.append(float(self.callback_metrics["val/psnr"]))


def validate(best: BestCheckpoint, trainer: FakeTrainer, value: float) -> None:
    trainer.callback_metrics = {"val/psnr": torch.tensor(value)}
    best.on_validation_end(trainer, None)


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


def test_a_figure_that_was_not_computed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'val/fid' is none of \['val/psnr'\]"):
        validate(BestCheckpoint("val/fid"), FakeTrainer(tmp_path), 1.0)
