import io
import re
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from tiny_model import tiny_model

from lightning_modules.callbacks.progress import ImagesProgressBar
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1 import Stage1
from lightning_modules.training.optimization import OptimizerSettings

CONTROL_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Run:
    """A run of 4,000 images, 1,000 of which an earlier launch has seen, and what the bar says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
        only_pixels = Stage1Weights(perceptual=0.0, adversarial=0.0, novel_view=0.0)
        self.stage = Stage1(tiny_model(), 4000, only_pixels, optimizer=OptimizerSettings(warmup=10))
        self.stage.images_seen = 1000
        self.trainer = SimpleNamespace(callback_metrics={})
        self.now, self.text = 100.0, io.StringIO()
        monkeypatch.setattr("lightning_modules.callbacks.progress.time.monotonic", self.clock)
        self.bar = ImagesProgressBar(log_seconds=30)
        width = 200 if terminal else 40  # a log file has no width to wrap at
        self.bar.console = Console(
            file=self.text, force_terminal=terminal, width=width, get_time=self.clock
        )

    def clock(self) -> float:
        return self.now

    def start(self) -> None:
        self.bar.on_train_start(self.trainer, self.stage)

    def train(self, seconds: float, images: int, loss: float = 0.5) -> None:
        self.now += seconds
        self.stage.images_seen += images
        outputs = {"loss/total": torch.tensor(loss)}
        self.bar.on_train_batch_end(self.trainer, self.stage, outputs, None, 0)

    def end(self) -> None:
        self.bar.on_train_end(self.trainer, self.stage)

    def said(self) -> str:
        return CONTROL_CODES.sub("", self.text.getvalue())


def test_a_log_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, terminal=False)
    run.start()
    run.train(29, 580)
    assert run.said() == ""
    run.train(1, 20)
    run.train(29, 580)
    run.trainer.callback_metrics["val/psnr"] = torch.tensor(21.234)
    run.train(1, 20, loss=0.25)
    run.end()
    assert run.said().splitlines() == [
        "1,600/4,000 images, 20 images/s, 2.0 min left, loss 0.5000",
        "2,200/4,000 images, 20 images/s, 1.5 min left, loss 0.2500, val PSNR 21.23 dB",
    ]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, terminal=True)
    run.start()
    assert "1,000/4,000 images" in run.said()
    run.train(30, 600)
    run.trainer.callback_metrics["val/psnr"] = torch.tensor(21.234)
    run.train(30, 600, loss=0.25)
    run.end()
    run.train(0.5, 0, loss=0.125)  # a second has not passed
    last = run.said().splitlines()[-1]
    assert "2,200/4,000 images 20 images/s 0:01:30 loss 0.2500, val PSNR 21.23 dB" in last
    assert run.bar.progress is None


def test_the_terminal_is_left_in_order_when_training_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch, terminal=True)
    run.start()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"  # the cursor
    assert run.text.getvalue().count(shown) == 0
    run.bar.on_exception(run.trainer, run.stage, KeyboardInterrupt())
    assert run.text.getvalue().count(hidden) == run.text.getvalue().count(shown) == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_other_ranks_say_nothing(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    run = Run(monkeypatch, terminal)
    run.bar.disable()
    run.start()
    run.train(60, 600)
    run.end()
    assert run.said() == ""
