"""`python -m benchmarks.novel_views`: one photograph of an object in, its true views beside those
of the reconstruction.

For objects photographed from several known sides (`lowpoly`: folders images/, masks/, depth/ and
cameras.json). Validation photographs of shards made of them, partly hidden or not, are
reconstructed and rendered from the cameras of all photographs of the same object, and compared with
these as they are, unhidden. Systems without boxes see the world from their canonical camera: the
true cameras are placed there as they stand to the input, at the scale at which the object's median
depth in the input is true. The mean image of a class over the training photographs is what a model
that knows the class alone could show.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from benchmarks.completion import check_same_resolution
from benchmarks.known_views import ObjectViews, read_objects
from benchmarks.novel_cameras import angles, camera_at, check_taken, placed, taken_view, unit_of
from benchmarks.novel_view_sheets import class_sheets
from datamodules.errors import DataError
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.cli.faults import exit_code
from lightning_modules.inference.loading import load_stage1
from lightning_modules.inference.tokenise import sight
from lightning_modules.metrics.image import masked_iou, psnr
from lightning_modules.metrics.reconstruction import SOLID
from lightning_modules.pictures.drawing import write_png
from models.autoencoder import TokenAutoencoder
from models.scenes import Scenes, View
from renderers.cameras import Camera

EDGES = (30.0, 60.0, 120.0, 180.0)
"""Upper ends of the bins of angles between input and true view, in degrees; the input itself has a
bin of its own before them."""

BEHIND = 1.5
"""Distance of the object's middle, times which a surface counts as behind the object, for scenes
that do not end."""

Rows = dict[tuple[str, int], dict[str, list[float]]]
"""Figures of views by class and bin."""


def inputs(root: str, resolution: int) -> Iterator[Batch]:
    """The validation photographs of a shard root, with cameras, rays and sizes of boxes."""
    data = ShardDataModule(
        root, resolution, 16, mask=True, camera=True, rays=True, flip=False, num_workers=0
    )
    data.setup("validate")
    loader = data.val_dataloader()
    if isinstance(loader, list):
        raise DataError(f"{root} has no validation images.")
    yield from loader


def silhouette(view: View, depth: Tensor, scenes: Scenes, middle: Tensor) -> Tensor:
    """Pixels (V, H, W) of a view that show the object: solid ones, or, in scenes that do not end,
    those near enough; depth: of the view, middle: (V,) of the object."""
    if scenes.space.background is not None:
        return view.opacity > SOLID
    return depth < BEHIND * middle[:, None, None]


@torch.no_grad()
def figures(model: TokenAutoencoder, scene: Scenes, seen_by: Camera, views: ObjectViews) -> Tensor:
    """PSNR in dB, IoU of the silhouette and mean absolute depth error where both show the object,
    in the object's unit, of each of its views: (V, 3)."""
    unit = unit_of(model, scene, seen_by, views)
    camera = placed(model, seen_by, views.camera, unit)
    side, count = views.image.shape[-1], len(views.image)
    rendered = [scene.view(camera_at(camera, v), side, side) for v in range(count)]
    rgb = torch.cat([view.rgb for view in rendered])
    depth = 1 / torch.cat([view.disparity for view in rendered]).clamp(min=1e-3) / unit
    middle = views.camera.position.norm(dim=-1)
    found = torch.cat(
        [
            silhouette(view, depth[v : v + 1], scene, middle[v : v + 1])
            for v, view in enumerate(rendered)
        ]
    )
    everywhere = torch.ones_like(views.mask)
    both = found & views.mask
    error = ((depth - views.depth).abs() * both).flatten(1).sum(1) / both.flatten(1).sum(1)
    iou = masked_iou(found, views.mask, everywhere)
    return torch.stack([psnr(rgb, views.image), iou, error], 1)


def bins(seen_by: Camera, views: ObjectViews) -> list[int]:
    """Bin of the angle between each view and the input, 0 of the input's own."""
    found = torch.bucketize(angles(seen_by, views.camera), torch.tensor(EDGES))
    found = found.clamp(max=len(EDGES) - 1) + 1
    found[taken_view(seen_by, views)] = 0
    return found.tolist()


def measure(model: TokenAutoencoder, root: str, objects: dict[str, ObjectViews]) -> Rows:
    """Figures of a model's novel views of all validation photographs, by class and angle."""
    rows: Rows = defaultdict(lambda: defaultdict(list))
    for batch in track(list(inputs(root, model.resolution)), "photographs"):
        assert batch.camera is not None
        with torch.no_grad():
            scenes = model.reconstruct(batch.float_image(), sight(batch)).in_boxes(batch.size())
        for index, key in enumerate(batch.keys):
            seen_by, views = camera_at(batch.camera, index), objects[key]
            check_taken(root, seen_by, views)
            found = figures(model, scenes[index : index + 1], seen_by, views)
            for angle, row in zip(bins(seen_by, views), found.tolist(), strict=True):
                for name, value in zip(("PSNR", "IoU", "depth"), row, strict=True):
                    rows[views.label, angle][name].append(value)
    return rows


def measure_means(root: str, objects: dict[str, ObjectViews], resolution: int) -> Rows:
    """PSNR of the mean image of each class over its objects outside of validation."""
    rows: Rows = defaultdict(lambda: defaultdict(list))
    batches = list(inputs(root, resolution))
    held_out = {id(objects[key]) for batch in batches for key in batch.keys}
    means: dict[str, Tensor] = {}
    for label in {views.label for views in objects.values()}:
        others = {id(v): v for v in objects.values() if v.label == label and id(v) not in held_out}
        means[label] = torch.cat([views.image for views in others.values()]).mean(0, keepdim=True)
    for batch in batches:
        assert batch.camera is not None
        for index, key in enumerate(batch.keys):
            seen_by, views = camera_at(batch.camera, index), objects[key]
            found = psnr(means[views.label].expand_as(views.image), views.image)
            for angle, value in zip(bins(seen_by, views), found.tolist(), strict=True):
                rows[views.label, angle]["PSNR"].append(value)
    return rows


def report(name: str, rows: Rows) -> None:
    """Print a Markdown table: mean figures by angle over all photographs, then by class."""
    measured = list(next(iter(rows.values())))
    between = zip((0.0, *EDGES), EDGES, strict=False)
    ranges = ["of the input", *(f"{low:.0f}-{high:.0f}" for low, high in between)]
    print(f"\n| {name} | " + " | ".join(f"{m} {r}" for m in measured for r in ranges) + " |")
    print("|---" * (1 + len(measured) * len(ranges)) + "|")
    labels = sorted({label for label, _ in rows})
    for label in ["all", *labels]:
        cells = []
        for figure in measured:
            for angle in range(len(ranges)):
                taken = [label] if label != "all" else labels
                values = torch.tensor([x for c in taken for x in rows[c, angle][figure]])
                cells.append(f"{values.nanmean():.2f}")
        print(f"| {label} | " + " | ".join(cells) + " |")


def main() -> None:
    """Print tables of checkpoints, and of the classes' mean images."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.novel_views", description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of the true views")
    parser.add_argument("--root", required=True, help="shards of these; inputs are of validation")
    parser.add_argument("--sheets", type=Path, help="folder for a sheet a class")
    parser.add_argument("checkpoints", nargs="+", help="stage-1 checkpoints")
    given = parser.parse_args()
    models = {path: load_stage1(path) for path in given.checkpoints}
    check_same_resolution(list(models.values()))
    resolution = next(iter(models.values())).resolution
    objects = read_objects(given.source, resolution)
    if given.sheets is not None:
        batches = inputs(given.root, resolution)
        for label, picture in class_sheets(list(models.values()), batches, objects).items():
            write_png(given.sheets / f"{label}.png", picture)
    report("mean image of the class", measure_means(given.root, objects, resolution))
    for path, model in models.items():
        report(path, measure(model, given.root, objects))


if __name__ == "__main__":
    sys.exit(exit_code(main, "benchmarks.novel_views"))
