"""Pictures of a prior as it is trained: samples by class, and the camera moving around them."""

import torch

from lightning_modules.drawing import Pictures, colorize, sheet
from lightning_modules.stage1_pictures import swing_frames
from models.generator import TokenGenerator
from models.priors.conditions import Conditions
from models.priors.sampling import SampleNoise, TokenSampling

SEEDS = 6


def sample_pictures(
    generator: TokenGenerator, sampling: TokenSampling, rows: int
) -> list[Pictures]:
    """A sheet with a class in each of at most `rows` rows and a seed in each of `SEEDS` columns,
    at last the disparity of the first; and an animated strip of each row's first scene.

    A prior without classes fills the rows with other seeds.
    """
    device, model = generator.prior.head.weight.device, generator.autoencoder
    labels = spread_labels(generator.prior.kinds.classes, rows)
    noise = SampleNoise(
        [
            seed + SEEDS * row * (label < 0)
            for row, label in enumerate(labels)
            for seed in range(SEEDS)
        ],
        device,
    )
    conditions = Conditions.of(torch.tensor(labels, device=device).repeat_interleave(SEEDS))
    scenes = generator.generate(conditions, noise, sampling)
    view = scenes.view(scenes.canonical, model.resolution, model.resolution)
    columns = [view.rgb[seed::SEEDS] for seed in range(SEEDS)]
    first = scenes[::SEEDS]
    return [
        Pictures("samples", [sheet([*columns, colorize(view.disparity[::SEEDS])])]),
        Pictures("novel_views", swing_frames(first, model.view, model.resolution)),
    ]


def spread_labels(classes: int, rows: int) -> list[int]:
    """At most `rows` labels, evenly spread over the classes; -1 for all rows without classes.

    >>> spread_labels(10, 3)
    [0, 3, 6]
    """
    if classes == 0:
        return [-1] * rows
    count = min(classes, rows)
    return [classes * row // count for row in range(count)]
