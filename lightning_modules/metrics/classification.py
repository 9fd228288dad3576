"""Figures of a classifier over a validation set, the same on every rank."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, Metric


class ClassifierMetrics(Metric):
    """Accuracy and cross-entropy over labelled images.

    Computes `accuracy`, the share of images whose class is the most probable one;
    `class_accuracy`, the mean over the classes that occur of their own accuracy; `cross_entropy`,
    the mean negative log-likelihood in nats.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cross_entropy = MeanMetric()
        self.add_state("counts", torch.zeros(2, classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Take in logits (B, C) of images with labels (B,); those labelled -1 do not count."""
        known = labels >= 0
        logits, labels = logits[known].float(), labels[known]
        self.cross_entropy.update(F.cross_entropy(logits, labels, reduction="none"))
        right = labels[logits.argmax(1) == labels]
        classes = self.counts.shape[1]
        self.counts += torch.stack(
            [torch.bincount(of, minlength=classes) for of in (labels, right)]
        )

    def compute(self) -> dict[str, Tensor]:
        """The figures so far, by name."""
        images, right = self.counts.double()
        occurring = images > 0
        return {
            "accuracy": (right.sum() / images.sum()).float(),
            "class_accuracy": (right[occurring] / images[occurring]).mean().float(),
            "cross_entropy": self.cross_entropy.compute(),
        }

    def reset(self) -> None:
        """Forget everything, at the start of a validation."""
        super().reset()
        self.cross_entropy.reset()
