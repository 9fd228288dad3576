"""Figures of a stage-1 model over a validation set, the same on every rank."""

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from datamodules.schema import Batch
from lightning_modules.metrics.image import masked_correlation, psnr
from models.blocks.quantizer import perplexity


class ReconstructionMetrics(Metric):
    """Mean over images of PSNR and disparity correlation, and how much of the codebook is used.

    Computes `psnr` in dB; `disparity_correlation`, Pearson over the known pixels of each image,
    absent when no depth was given; `codebook_usage`, the share of codes that occur at least once;
    `codebook_perplexity`.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.psnr, self.correlation = MeanMetric(), MeanMetric(nan_strategy="ignore")
        self.add_state("counts", torch.zeros(codes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, rgb: Tensor, disparity: Tensor, tokens: Tensor, batch: Batch) -> None:
        """Take in rendered rgb (B, 3, H, W), z-disparity (B, H, W) and tokens (B, T) of a batch."""
        self.psnr.update(psnr(rgb, batch.float_image()))
        if batch.depth is not None:
            given, known = batch.disparity().flatten(1), batch.disparity_known().flatten(1)
            self.correlation.update(masked_correlation(disparity.flatten(1), given, known))
        self.counts += torch.bincount(tokens.flatten(), minlength=len(self.counts))

    def compute(self) -> dict[str, Tensor]:
        """The figures so far, by name."""
        figures = {
            "psnr": self.psnr.compute(),
            "codebook_usage": (self.counts > 0).float().mean(),
            "codebook_perplexity": perplexity(self.counts),
        }
        if self.correlation.update_called:
            figures["disparity_correlation"] = self.correlation.compute()
        return figures

    def reset(self) -> None:
        """Forget everything, at the start of a validation."""
        super().reset()
        self.psnr.reset()
        self.correlation.reset()
