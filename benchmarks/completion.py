"""`python -m benchmarks.completion`: how well stage-1 models complete what occluders hide.

The embedded data set can draw every photograph once more without what stands before the object, and
without the object, too. Reconstructions, seen along the photograph's own rays before what is truly
behind the object, are compared with the first inside the occluder's area: all of it, and where it
hides the object.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from rich.progress import track
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from datamodules.build.shapeworld.renderer import render, scene_camera
from datamodules.build.shapeworld.samples import scene_of_key
from datamodules.errors import DataError
from datamodules.modalities import MASK_OBJECT, MASK_OCCLUDER
from datamodules.remote import read_manifest
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.cli.faults import exit_code
from lightning_modules.inference.loading import load_stage1
from lightning_modules.inference.tokenise import sight
from lightning_modules.metrics.image import masked_iou, masked_psnr
from lightning_modules.metrics.reconstruction import SOLID
from lightning_modules.stage1_rays import view_images
from models.autoencoder import TokenAutoencoder

BATCH_SIZE = 50
LEAST_AREA = 20
"""Pixels hidden of an object for an image to count."""
BURIED = (0.0, -100.0, 0.0)
"""A place in world units that no photograph shows."""


@dataclass(frozen=True)
class Hidden:
    """Photographs (B), the same without occluders, and what these hide.

    truth: (B, 3, H, W) in [0, 1]; behind: (B, 3, H, W) the same with what is behind the objects in
    their place; area: (B, H, W) bool pixels of occluders; whole: (B, H, W) bool pixels of the
    objects without them.
    """

    batch: Batch
    truth: Tensor
    behind: Tensor
    area: Tensor
    whole: Tensor

    def of(self, rows: Tensor) -> Hidden:
        """Those photographs that a mask (B,) names."""
        parts = (self.truth, self.behind, self.area, self.whole)
        return Hidden(taken(self.batch, rows), *(part[rows] for part in parts))


def hidden_photographs(root: str, resolution: int) -> Iterator[Hidden]:
    """The validation photographs whose objects are partly hidden, with the truth behind.

    Raises:
        DataError: the root is not of `wild3d shapeworld`.
    """
    made = read_manifest(root).parameters
    seed = made.get("seed")
    if made.get("tool") != "shapeworld" or not isinstance(seed, int):
        raise DataError(f"{root} was not written by `wild3d shapeworld`: no truth is known.")
    data = ShardDataModule(
        root, resolution, BATCH_SIZE, mask=True, rays=True, flip=False, num_workers=0
    )
    data.setup("validate")
    loader = data.val_dataloader()
    if isinstance(loader, list):
        raise DataError(f"{root} has no validation images.")
    for batch in loader:
        assert batch.mask is not None
        views = [_unhidden(seed, key, batch.image.shape[-1]) for key in batch.keys]
        truth, behind, whole = (torch.stack(part) for part in zip(*views, strict=True))
        area = batch.mask == MASK_OCCLUDER
        rows = (area & whole).flatten(1).sum(1) >= LEAST_AREA
        if rows.any():
            yield Hidden(batch, truth, behind, area, whole).of(rows)


def taken(batch: Batch, rows: Tensor) -> Batch:
    """Those images of a batch that a mask (B,) names."""
    return batch[rows.nonzero()[:, 0].tolist()]


def _unhidden(seed: int, key: str, resolution: int) -> tuple[Tensor, Tensor, Tensor]:
    """Render (3, H, W) of a scene without occluders, the same with what is behind the object in its
    place, and the object's mask (H, W)."""
    scene = replace(scene_of_key(seed, key), occluders=())
    buried = tuple(replace(part, centre=BURIED) for part in scene.objects)  # none can't be drawn
    both, camera = (scene, replace(scene, objects=buried)), scene_camera(scene)
    view, empty = (render(one, camera, resolution) for one in both)
    truth, without = (torch.from_numpy(v.rgb).movedim(-1, 0).float() / 255 for v in (view, empty))
    whole = torch.from_numpy(view.mask) == MASK_OBJECT
    # Its shadow stays where it falls beside it: no scene in a box can cast it.
    return truth, torch.where(whole, without, truth), whole


@torch.no_grad()
def completion(model: TokenAutoencoder, hidden: Hidden) -> dict[str, Tensor]:
    """Figures (B,) of a model's completions, by name."""
    batch = hidden.batch
    scenes = model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
    view, grey = view_images(model, scenes, batch), scenes.space.background or 0.0
    through = 1 - view.opacity[:, None]
    completed = (view.rgb + through * (hidden.behind - grey)).clamp(0, 1)
    _, similar = structural_similarity_index_measure(
        completed, hidden.truth, data_range=1.0, return_full_image=True
    )
    area, gone = hidden.area, hidden.area & hidden.whole
    return {
        "PSNR, dB": masked_psnr(completed, hidden.truth, area),
        "PSNR of the object, dB": masked_psnr(completed, hidden.truth, gone),
        "SSIM": (similar.mean(1) * area).flatten(1).sum(1) / area.flatten(1).sum(1),
        "IoU of the silhouette": masked_iou(view.opacity > SOLID, hidden.whole, area),
    }


def check_same_resolution(models: Sequence[TokenAutoencoder]) -> None:
    """DataError if models that shall see the same images take them at different sizes."""
    if len(sides := sorted({model.resolution for model in models})) > 1:
        raise DataError(
            f"The checkpoints take images of {', '.join(map(str, sides))} pixels: compare those of "
            "one size, the others in a run of their own."
        )


def main() -> None:
    """Print a table of checkpoints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.completion", description=__doc__)
    parser.add_argument("--root", default="data/shapeworld-hidden", help="its validation split")
    parser.add_argument("checkpoints", nargs="+", help="stage-1 checkpoints")
    given = parser.parse_args()
    models = [load_stage1(path) for path in given.checkpoints]
    check_same_resolution(models)
    found: list[list[dict[str, Tensor]]] = [[] for _ in models]
    for hidden in track(hidden_photographs(given.root, models[0].resolution), "photographs", 8):
        for model, rows in zip(models, found, strict=True):
            rows.append(completion(model, hidden))
    for path, rows in zip(given.checkpoints, found, strict=True):
        figures = {name: torch.cat([row[name] for row in rows]).nanmean() for name in rows[0]}
        said = ", ".join(f"{name} {figure:.3f}" for name, figure in figures.items())
        print(f"{path}: {said}, {sum(len(row['SSIM']) for row in rows)} photographs")


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.completion"))
