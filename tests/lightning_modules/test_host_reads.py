"""Training steps that never make the host wait for its device, counted without a device."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from every_system import SYSTEMS, Files, System
from host_reads import HostReads, Reads, StepReads
from lightning import Callback, LightningModule, Trainer
from meta_training import train_on_meta
from quick_training import quiet_trainer
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.callbacks.scalars import ScalarLog
from lightning_modules.gan import GAN
from lightning_modules.stage2 import Stage2

ONCE = {
    "lightning_modules/losses/perceptual.py": "the frozen VGG16 moves to the device",
    "lightning_modules/stage2.py": "so does the frozen stage-1 model",
    "lightning_modules/inference/tokenise.py": "whether a frozen stage-1 model has diverged",
}
"""In the first step of a launch, and why."""

NOW_AND_THEN = {
    "lightning_modules/adversarial/gan_watch.py": "diversities, every `collapse.every_images`",
    "models/wildgan.py": "their fixed latents, drawn on the CPU for the same ones anywhere",
    "lightning_modules/callbacks/scalars.py": "curves, every `scalars.every_images`",
    "lightning_modules/training/finite.py": "whether all was finite, before these and checkpoints",
}
"""By the interval of a setting, and why."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files.write(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_step_reads_nothing_and_leaves_nothing_on_the_cpu(name: str, files: Files) -> None:
    system: System = SYSTEMS[name](files)
    if isinstance(system.module, GAN):
        system.module.collapse = replace(system.module.collapse, every_images=10_000)
    if isinstance(system.module, Stage2):
        system.module.has_encoded = True
    first, *steps = train_on_meta(system.module, system.batch, 3)
    assert {place.partition(":")[0] for _, place in first} <= ONCE.keys()
    assert len(steps) == 2
    assert not any(steps), steps


def reads(step: Reads) -> set[str]:
    """Where a step on the CPU reads: what becomes a tensor there is no copy."""
    return {place.partition(":")[0] for what, place in step if what != "lift_fresh"}


def steps_on_cpu(system: System, every_images: int, steps: int) -> list[Reads]:
    counted = StepReads()
    trainer = quiet_trainer(ScalarLog(every_images), counted)
    trainer.fit(system.module, DataLoader([system.batch] * steps, batch_size=None))
    return counted.steps


def test_a_gan_is_looked_at_and_logged_now_and_then(files: Files) -> None:
    first, second, third, fourth = steps_on_cpu(SYSTEMS["GAN"](files), every_images=12, steps=4)
    assert first == second == fourth
    assert not reads(first)
    # To the CPU latents are not copied.
    assert reads(third) == NOW_AND_THEN.keys() - {"models/wildgan.py"}
    assert sum(third[key] for key in third if key[0] != "lift_fresh") == 3


def test_images_are_checked_once_that_become_tokens(files: Files) -> None:
    first, second = steps_on_cpu(SYSTEMS["masked on images"](files), every_images=100, steps=2)
    assert reads(first) == {"lightning_modules/inference/tokenise.py"}
    assert not reads(second)


@pytest.mark.parametrize(
    ("what", "read"),
    [
        ("_local_scalar_dense", lambda x: bool(x[0] > 0)),
        ("tolist", lambda x: x.tolist()),
        ("index by a mask", lambda x: x[x > 0]),
        ("index_put_ by a mask", lambda x: x.__setitem__(x > 0, torch.ones(3))),
        ("nonzero", lambda x: x.nonzero()),
        ("_unique2", lambda x: x.unique()),
        ("bincount", lambda x: x.long().bincount()),
        ("equal", lambda x: torch.equal(x, x)),
        ("lift_fresh", lambda x: torch.tensor([1.0, 2.0])),
        ("repeat_interleave", lambda x: x.repeat_interleave(x.long())),
        ("_to_copy of cpu and meta", lambda x: x.to("meta")),
        ("index of cpu and meta", lambda x: torch.empty(3, device="meta")[x.long()]),
    ],
)
def test_reads_are_found(what: str, read: Callable[[Tensor], object]) -> None:
    values = torch.ones(3)
    with HostReads() as found:
        read(values)
        values.repeat_interleave(2) + values.sum()
    assert {what for what, _ in found.found} == {what}
    assert all(Path(__file__).name in place for _, place in found.found)


class Strict(Callback):
    """Has CUDA raise an error at what waits for it, after the first step."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, index: int
    ) -> None:
        torch.cuda.set_sync_debug_mode("error" if index else "default")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_gpu_is_not_waited_for(name: str, files: Files) -> None:
    system = SYSTEMS[name](files)
    if isinstance(system.module, GAN):
        system.module.collapse = replace(system.module.collapse, every_images=10_000)
    trainer = quiet_trainer(ScalarLog(), Strict(), accelerator="gpu")
    try:
        trainer.fit(system.module, DataLoader([system.batch] * 3, batch_size=None))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert system.module.images_seen == 12
