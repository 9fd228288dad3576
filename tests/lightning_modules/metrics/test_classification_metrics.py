import math

import pytest
import torch

from lightning_modules.metrics.classification import ClassifierMetrics


def test_figures_of_a_known_confusion() -> None:
    metrics = ClassifierMetrics(3)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, -1])
    guesses = torch.tensor([0, 0, 0, 1, 1, 0, 2])
    logits = torch.nn.functional.one_hot(guesses, 3) * math.log(2.0)  # shares 1/2, 1/4, 1/4
    metrics.update(logits[:4], labels[:4])
    metrics.update(logits[4:], labels[4:])
    figures = {name: float(value) for name, value in metrics.compute().items()}
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["class_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert figures["cross_entropy"] == pytest.approx((4 * math.log(2) + 2 * math.log(4)) / 6)


def test_a_reset_forgets() -> None:
    metrics = ClassifierMetrics(2)
    metrics.update(torch.eye(2), torch.tensor([1, 0]))
    metrics.reset()
    metrics.update(torch.eye(2), torch.tensor([0, 1]))
    assert metrics.compute()["accuracy"] == 1
