"""Figures of a stage-1 model's reconstructions of the embedded data: of what photographs show of
their objects, and of what occluders hide."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.completion import BATCH_SIZE, completion, hidden_photographs, taken
from datamodules.errors import DataError
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.inference.loading import load_stage1
from lightning_modules.inference.tokenise import sight
from lightning_modules.losses.occlusion import visible_pixels
from lightning_modules.metrics.image import masked_iou, masked_psnr
from lightning_modules.metrics.reconstruction import SOLID
from lightning_modules.stage1_rays import view_images
from models.autoencoder import TokenAutoencoder


def reconstruction_figures(
    checkpoint: str, root: str, of_class: str | None = None
) -> dict[str, float]:
    """Means over the validation photographs of a root, or over those of a class.

    Raises:
        FileNotFoundError, DataError: the checkpoint or the root can't be used.
    """
    model = load_stage1(checkpoint)
    data = ShardDataModule(
        root, model.resolution, BATCH_SIZE, mask=True, rays=True, flip=False, num_workers=0
    )
    data.setup("validate")
    loader = data.val_dataloader()
    if isinstance(loader, list):
        raise DataError(f"{root} has no validation images.")
    label = None if of_class is None else data.manifest.classes.index(of_class)
    rows = [visible(model, part) for batch in loader if len(part := _of(batch, label))]
    photographs = hidden_photographs(root, model.resolution)
    if label is not None:
        photographs = (p.of(of) for p in photographs if (of := p.batch.label == label).any())
    hidden = [completion(model, some) for some in photographs]
    tokens = torch.cat([row.pop("tokens") for row in rows])
    found = {name: _mean([row[name] for row in rows]) for name in rows[0]}
    found |= {f"hidden {name}": _mean([row[name] for row in hidden]) for name in hidden[0]}
    return found | {"codes in use, %": 100 * len(tokens.unique()) / model.codes}


@torch.no_grad()
def visible(model: TokenAutoencoder, batch: Batch) -> dict[str, Tensor]:
    """Figures (B,) of what photographs show of their objects, and their tokens (B, T)."""
    assert batch.mask is not None
    quantized = model.encode(batch.float_image(), sight(batch))
    scenes = model.decode(quantized.vectors).in_boxes(batch.size())
    view, shown = view_images(model, scenes, batch), visible_pixels(batch.mask)
    return {
        "PSNR, dB": masked_psnr(view.rgb, batch.float_image(), shown.object),
        "IoU": masked_iou(view.opacity > SOLID, shown.object, shown.either),
        "tokens": quantized.tokens,
    }


def _of(batch: Batch, label: int | None) -> Batch:
    return batch if label is None else taken(batch, batch.label == label)


def _mean(figures: list[Tensor]) -> float:
    return float(torch.cat(figures).nanmean())
