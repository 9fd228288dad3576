"""A step that is not finite moves nothing, and is told before anything is kept of the training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from every_system import Files, prior, token_batch
from lightning import Callback, LightningModule, Trainer
from quick_training import quiet_trainer
from tiny_prior_run import PriorRuns
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.callbacks.scalars import ScalarLog
from lightning_modules.stage2 import Stage2
from lightning_modules.training import base
from models.priors.masked import MaskedPrior


class Broken(Callback):
    """Makes a gradient infinite in the step after so many images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        if pl_module.images_seen == self.images:
            bias = pl_module.prior.head.bias
            hook = bias.register_hook(lambda gradient: gradient * torch.inf)
            self.remove = hook.remove
        elif pl_module.images_seen > self.images:
            self.remove()


def trained(stage1: str, steps: int, *callbacks: Callback) -> tuple[Stage2, list[Tensor]]:
    """A prior after so many steps of four images, and the state of its optimiser."""
    module = prior(MaskedPrior, stage1)
    trainer = quiet_trainer(*callbacks)
    loader = DataLoader([token_batch()] * steps, batch_size=None)
    if callbacks:
        with pytest.raises(FloatingPointError, match=r"loss is (inf|nan) in the step after 8"):
            trainer.fit(module, loader)
    else:
        trainer.fit(module, loader)
    states = trainer.optimizers[0].state.values()
    return module, [value for state in states for value in state.values()]


@pytest.fixture(scope="module")
def stage1(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Files.write(tmp_path_factory.mktemp("files")).stage1


@pytest.fixture(scope="module")
def before(stage1: str) -> tuple[Stage2, list[Tensor]]:
    """The training until there."""
    return trained(stage1, 2)


def assert_same(found: tuple[Stage2, list[Tensor]], before: tuple[Stage2, list[Tensor]]) -> None:
    ours, theirs = (stage.prior.state_dict() for stage, _ in (found, before))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert all(map(torch.equal, found[1], before[1]))
    assert all(value.isfinite().all() for value in found[0].ema.state_dict().values())
    assert found[0].images_seen == before[0].images_seen == 8


def test_at_the_end_all_is_as_it_was_before_the_step(
    stage1: str, before: tuple[Stage2, list[Tensor]]
) -> None:
    assert_same(trained(stage1, 6, Broken(8)), before)


def test_curves_are_not_drawn_of_it(stage1: str, before: tuple[Stage2, list[Tensor]]) -> None:
    log = ScalarLog(every_images=16)
    assert_same(trained(stage1, 6, log, Broken(8)), before)
    assert log.logged_at == 0


def test_it_is_told_after_so_many_steps_at_the_latest(
    stage1: str, before: tuple[Stage2, list[Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MOST_NOTES", 4)
    assert_same(trained(stage1, 100, Broken(8)), before)


def test_it_is_told_before_a_validation_and_nothing_is_saved_after_it(
    prior_runs: PriorRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poison = ["--trainer.callbacks+", "run_probes.PoisonedPrior", "--last_checkpoint.minutes", "60"]
    seldom = ["--scalars.every_images", "1000"]  # validations come after 16 images
    assert prior_runs.fit("autoregressive", tmp_path, *poison, *seldom) == 2
    said = capsys.readouterr().err
    assert "gradient norm of the total loss is nan in the step after 8 images" in said
    assert "There is no checkpoint yet" in said
    assert not list((tmp_path / "checkpoints").glob("*"))
