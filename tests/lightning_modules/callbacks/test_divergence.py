"""States that are not finite, and what is left to go on from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule
from torch import nn

from lightning_modules.callbacks.divergence import check_weights, earlier_checkpoint, step_back

ALONE = SimpleNamespace(
    strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
)


class Averaging(LightningModule):
    """A module of a weight and a running average, which tools would refuse to read too."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("mean", torch.zeros(2))


@pytest.mark.parametrize("name", ["weight", "mean"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_and_averages_that_are_not_finite_are_not_saved(name: str, value: float) -> None:
    module = Averaging()
    check_weights(ALONE, module, 12)
    getattr(module, name).data[1] = value
    with pytest.raises(FloatingPointError, match="not finite after 12 images"):
        check_weights(ALONE, module, 12)


def save(path: Path, **content: object) -> None:
    torch.save({"model": {}, "state_dict": {}} | content, path)


def test_checkpoints_that_do_not_say_how_far_they_are_are_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "previous.ckpt")
    save(tmp_path / "best.ckpt", images_seen=8)
    assert earlier_checkpoint(tmp_path, 12) == (tmp_path / "best.ckpt", 8)
    assert earlier_checkpoint(tmp_path, 8) is None


@pytest.mark.parametrize(
    ("best", "way"), [(False, "the same command begins anew"), (True, "begin another run")]
)
def test_a_state_that_failed_is_set_aside_where_there_is_none_before(
    best: bool, way: str, tmp_path: Path
) -> None:
    save(tmp_path / "last.ckpt", images_seen=8)
    if best:  # of the same state: the same command would fail there again
        save(tmp_path / "best.ckpt", images_seen=8)
    assert way in step_back(tmp_path, 8)
    assert (tmp_path / "diverged.ckpt").exists()
    assert not (tmp_path / "last.ckpt").exists()
