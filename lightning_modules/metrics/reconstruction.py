"""Figures of a stage-1 model over a validation set, the same on every rank."""

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from datamodules.schema import Batch
from lightning_modules.losses.occlusion import composite, visible_pixels
from lightning_modules.metrics.image import masked_correlation, masked_iou, masked_psnr, psnr
from models.blocks.quantizer import perplexity
from models.scenes import View

SOLID = 0.5
"""Opacity from which a pixel counts as the object's."""


class ReconstructionMetrics(Metric):
    """Mean over images of PSNR and disparity correlation, and how much of the codebook is used.

    Computes `psnr` in dB, of scenes with masked images as completed by `composite`;
    `disparity_correlation`, Pearson over the known pixels of each image, absent when no depth was
    given; `codebook_usage`, the share of codes that occur at least once; `codebook_perplexity`; and
    with masks `object_psnr` over the object's visible pixels, and `silhouette_iou` of solid pixels
    with them, occluders and unknown ones left out.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.psnr = MeanMetric()
        self.correlation, self.object_psnr, self.iou = (
            MeanMetric(nan_strategy="ignore") for _ in range(3)
        )
        self.add_state("counts", torch.zeros(codes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, view: View, behind: float | None, tokens: Tensor, batch: Batch) -> None:
        """Take in views along the rays of a batch's images, and its tokens (B, T).

        behind: grey level behind the scenes, None where they go on.
        """
        rgb = view.rgb
        if batch.mask is not None and behind is not None:
            rgb = self._update_masked(view, behind, batch, batch.mask)
        self.psnr.update(psnr(rgb, batch.float_image()))
        if batch.depth is not None:
            known = batch.disparity_known()
            if batch.mask is not None and behind is not None:
                known = known & visible_pixels(batch.mask).object  # there is nothing else to render
            found, given = view.disparity.flatten(1), batch.disparity().flatten(1)
            self.correlation.update(masked_correlation(found, given, known.flatten(1)))
        self.counts += torch.bincount(tokens.flatten(), minlength=len(self.counts))

    def _update_masked(self, view: View, behind: float, batch: Batch, mask: Tensor) -> Tensor:
        """Take in what masks allow to measure; returns completed images (B, 3, H, W)."""
        image, visible = batch.float_image(), visible_pixels(mask)
        self.object_psnr.update(masked_psnr(view.rgb, image, visible.object))
        solid = view.opacity > SOLID
        self.iou.update(masked_iou(solid, visible.object, visible.either))
        rgb, target = (x.permute(0, 2, 3, 1) for x in (view.rgb, image))
        completed = composite(rgb, view.opacity, target, visible, behind)
        return completed.permute(0, 3, 1, 2)

    def compute(self) -> dict[str, Tensor]:
        """The figures so far, by name."""
        figures = {
            "psnr": self.psnr.compute(),
            "codebook_usage": (self.counts > 0).float().mean(),
            "codebook_perplexity": perplexity(self.counts),
        }
        optional = {
            "disparity_correlation": self.correlation,
            "object_psnr": self.object_psnr,
            "silhouette_iou": self.iou,
        }
        return figures | {
            name: metric.compute() for name, metric in optional.items() if metric.update_called
        }

    def reset(self) -> None:
        """Forget everything, at the start of a validation."""
        super().reset()
        for metric in (self.psnr, self.correlation, self.object_psnr, self.iou):
            metric.reset()
