"""`python -m benchmarks.conditions`: whether samples of a prior over boxes have what was asked.

Class, size and time of day are those of validation images, so that they are plausible together;
each sample is seen by the camera of its image. The class is told by a classifier of real images,
sizes are the extents of silhouettes from far away, and the time of day shows in the brightness.
Every condition is asked alone and with each other one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import combinations

import torch
from rich.progress import track
from torch import Tensor

from benchmarks.ranks import rank_correlation
from datamodules.errors import DataError
from datamodules.modalities import MASK_OBJECT, TIMES_OF_DAY
from datamodules.schema import Batch
from datamodules.shard_datamodule import ShardDataModule
from lightning_modules.evaluation.classifier_network import load_classifier
from lightning_modules.inference.opening import open_maker
from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.metrics.reconstruction import SOLID
from models.classifier import SmallClassifier
from models.priors.conditions import Conditions
from models.priors.sampling import SampleNoise
from models.scenes import Scenes
from renderers.cameras import Camera, orbit_camera

KINDS = ("class", "size", "time of day")
BATCH_SIZE = 16
FAR = 50.0
"""Distance of the cameras that measure extents, in world units."""
SIDE = 128
"""Pixels of their pictures."""
MARGIN = 1.2
LUMINANCE = (0.299, 0.587, 0.114)
DAY, NIGHT = TIMES_OF_DAY.index("day"), TIMES_OF_DAY.index("night")


@dataclass(frozen=True)
class Measured:
    """What N scenes show: class logits (N, K), extents (N, 3) along x, y and z, and mean luminance
    (N,) of their pixels, NaN where nothing is solid."""

    logits: Tensor
    extents: Tensor
    brightness: Tensor


def extents(scene: Scenes, reach: float) -> Tensor:
    """Extents (3,) along x, y and z of a scene's silhouettes from the front and from the side, in
    world units; reach: most half of one."""
    half = MARGIN * reach
    fov = 2 * torch.rad2deg(torch.atan(torch.tensor(half / FAR))).item()
    found = []
    for yaw in (0.0, torch.pi / 2):
        view = scene.view(orbit_camera(torch.tensor([yaw]), 0.0, FAR, fov), SIDE, SIDE)
        solid = view.opacity[0] > SOLID
        for across in (solid.any(0), solid.any(1)):
            at = across.nonzero()[:, 0]
            pixels = float(at[-1] - at[0] + 1) if len(at) else torch.nan
            found.append(pixels * 2 * half / SIDE)
    x, y, z, _ = found
    return torch.tensor([x, y, z])


def brightness(rgb: Tensor, where: Tensor) -> Tensor:
    """Mean luminance (B,) of images (B, 3, H, W) over pixels (B, H, W) bool."""
    luminance = torch.einsum("bchw,c->bhw", rgb, torch.tensor(LUMINANCE))
    return (luminance * where).flatten(1).sum(1) / where.flatten(1).sum(1)


@torch.no_grad()
def measure(
    scenes: Scenes, cameras: Camera, classifier: SmallClassifier, side: int, reach: float
) -> Measured:
    """Measure B scenes, each from its camera."""
    view = scenes.view(cameras, side, side)
    sizes = torch.stack([extents(scenes[n : n + 1], reach) for n in range(len(scenes))])
    return Measured(classifier(view.rgb), sizes, brightness(view.rgb, view.opacity > SOLID))


@torch.no_grad()
def draw(
    maker: PriorScenes, asked: Batch, kinds: tuple[str, ...], classifier: SmallClassifier, seed: int
) -> Measured:
    """Draw and measure a scene for each image of a batch, given those of its labels in `kinds`."""
    assert asked.attributes is not None
    assert asked.camera is not None
    known = asked.attributes
    conditions = Conditions.of(asked.label, known.size, known.time_of_day)
    unasked = torch.tensor([[kind not in kinds for kind in KINDS] + [True]])
    conditions = conditions.dropped(unasked.expand(len(asked), -1))
    noise = SampleNoise(range(seed, seed + len(asked)), asked.label.device)
    scenes = maker.generator.generate(conditions, noise, maker.sampling)
    box = scenes.space.box()
    if box is None:
        raise DataError(f"the scenes of {maker.checkpoint} have no boxes, whose sizes are asked.")
    reach = float(known.size.max())
    return measure(scenes, asked.camera, classifier, maker.resolution, reach)


def validation(root: str, resolution: int, count: int) -> list[Batch]:
    """The first validation images of a shard root, on white."""
    data = ShardDataModule(
        root, resolution, BATCH_SIZE, mask=True, camera=True, flip=False, num_workers=0,
        max_val_images=count,
    )  # fmt: skip
    data.setup("validate")
    loader = data.val_dataloader()
    if isinstance(loader, list):
        raise DataError(f"{root} has no validation images.")
    return list(loader)


def figures(found: list[Measured], asked: list[Batch], threshold: float) -> dict[str, float]:
    """Figures of all kinds, whether asked or not."""
    logits, sizes, light = (
        torch.cat([getattr(part, name) for part in found])
        for name in ("logits", "extents", "brightness")
    )
    label = torch.cat([batch.label for batch in asked])
    known = [batch.attributes for batch in asked if batch.attributes is not None]
    wanted = torch.cat([attributes.size for attributes in known])[:, [0, 2, 1]]
    time = torch.cat([attributes.time_of_day for attributes in known])
    seen = sizes.isfinite().all(1)
    told = (time == DAY) | (time == NIGHT)
    right = (light > threshold) == (time == DAY)
    axes = [rank_correlation(wanted[seen, axis], sizes[seen, axis]) for axis in range(3)]
    return {
        "class, %": 100 * (logits.argmax(1) == label).double().mean().item(),
        "size, rank correlation": rank_correlation(wanted[seen].flatten(), sizes[seen].flatten()),
        "length": axes[0],
        "height": axes[1],
        "width": axes[2],
        "day or night, %": 100 * right[told & light.isfinite()].double().mean().item(),
        "nothing solid": float((~seen).sum()),
    }


def real_figures(asked: list[Batch], classifier: SmallClassifier) -> tuple[float, float]:
    """The classifier's accuracy on real images in percent, and the luminance half-way between the
    mean day and the mean night."""
    right, light, times = [], [], []
    for batch in asked:
        assert batch.mask is not None
        assert batch.attributes is not None
        body = batch.mask == MASK_OBJECT
        alone = torch.where(body[:, None], batch.float_image(), 1.0)
        with torch.no_grad():
            right.append(classifier(alone).argmax(1) == batch.label)
        light.append(brightness(batch.float_image(), body))
        times.append(batch.attributes.time_of_day)
    level, time = torch.cat(light), torch.cat(times)
    middle = (level[time == DAY].nanmean() + level[time == NIGHT].nanmean()) / 2
    return 100 * torch.cat(right).double().mean().item(), float(middle)


def main() -> None:
    """Print a Markdown table: a row a set of conditions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conditions", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="of a prior over a system with boxes")
    parser.add_argument("--classifier", required=True, help="of objects on white")
    parser.add_argument("--root", default="data/shapeworld", help="whose validation labels to ask")
    parser.add_argument("--samples", type=int, default=240)
    parser.add_argument("--guidance", type=float, help="by default that of the training")
    given = parser.parse_args()
    maker = open_maker(given.checkpoint, options=SamplingOptions(guidance=given.guidance))
    if not isinstance(maker, PriorScenes):
        raise DataError(f"{given.checkpoint} is of no prior.")
    classifier = load_classifier(given.classifier).model
    asked = validation(given.root, maker.resolution, given.samples)
    accuracy, threshold = real_figures(asked, classifier)
    print(f"classifier on the real images: {accuracy:.1f} %")
    sets = [(kind,) for kind in KINDS] + list(combinations(KINDS, 2)) + [KINDS]
    for number, kinds in enumerate(sets):
        found = [
            draw(maker, batch, kinds, classifier, 1000 * number + BATCH_SIZE * index)
            for index, batch in enumerate(track(asked, ", ".join(kinds)))
        ]
        row = figures(found, asked, threshold)
        if number == 0:
            print("| asked | " + " | ".join(row) + " |\n" + "|---" * (1 + len(row)) + "|")
        print(f"| {', '.join(kinds)} | " + " | ".join(f"{x:.3g}" for x in row.values()) + " |")


if __name__ == "__main__":
    main()
