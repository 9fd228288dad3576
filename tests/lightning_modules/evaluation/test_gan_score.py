from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from tiny_gan import tiny_gan

from lightning_modules.evaluation.gan_score import GANScore, ScoreSettings
from lightning_modules.inference.gan_scenes import GANScenes


@pytest.mark.parametrize(("device", "rounded"), [("cuda", True), ("cpu", False)])
def test_a_gpu_draws_in_the_precision_of_the_training(
    device: str, rounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    @contextmanager
    def context() -> Iterator[None]:
        with torch.autocast("cpu", torch.bfloat16):
            yield

    def generate(self: GANScenes, labels: list[int], seeds: list[int]) -> object:
        drawn.append(torch.is_autocast_enabled("cpu"))
        return really(self, labels, seeds)

    really = GANScenes.generate
    monkeypatch.setattr(GANScenes, "generate", generate)
    trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)),
        precision_plugin=SimpleNamespace(val_step_context=context),
        global_rank=0,
        world_size=1,
    )
    flatness = GANScore(ScoreSettings(images=3)).draw(tiny_gan(), trainer)
    assert flatness.shape == (3,)
    assert drawn == [rounded]
