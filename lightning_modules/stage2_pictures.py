"""Pictures of a prior as it is trained: samples by class, and the camera moving around them."""

from collections.abc import Sequence

import torch

from lightning_modules.drawing import Pictures, colorize, sheet
from lightning_modules.labels import labelled
from lightning_modules.stage1_pictures import swing_frames
from lightning_modules.tools.classes import class_name
from models.generator import TokenGenerator
from models.priors.conditions import Conditions
from models.priors.sampling import SampleNoise, TokenSampling

SEEDS = 6


def sample_pictures(
    generator: TokenGenerator, names: Sequence[str], sampling: TokenSampling, rows: int
) -> list[Pictures]:
    """A sheet with a class in each of at most `rows` rows and a seed in each of `SEEDS` columns,
    at last the disparity of the first; and an animated strip of each row's first scene.

    A prior without classes fills the rows with other seeds.

    Args:
        names: of the classes, as far as they are known.
    """
    device, model = generator.prior.head.weight.device, generator.autoencoder
    labels = spread_labels(generator.prior.kinds.classes, rows)
    seeds = [
        seed + SEEDS * row * (label < 0)
        for row, label in enumerate(labels)
        for seed in range(SEEDS)
    ]
    conditions = Conditions.of(torch.tensor(labels, device=device).repeat_interleave(SEEDS))
    scenes = generator.generate(conditions, SampleNoise(seeds, device), sampling)
    view = scenes.view(scenes.canonical, model.resolution, model.resolution)
    tiles = [view.rgb[seed::SEEDS] for seed in range(SEEDS)]
    picture = sheet([*tiles, colorize(view.disparity[::SEEDS])]).cpu()
    samples = labelled(picture, [class_name(label, names) for label in labels])
    swing = swing_frames(scenes[::SEEDS], model.view, model.resolution)
    return [Pictures("samples", [samples]), Pictures("novel_views", swing)]


def spread_labels(classes: int, rows: int) -> list[int]:
    """At most `rows` labels, evenly spread over the classes; -1 for all rows without classes.

    >>> spread_labels(10, 3)
    [0, 3, 6]
    """
    if classes == 0:
        return [-1] * rows
    count = min(classes, rows)
    return [classes * row // count for row in range(count)]
