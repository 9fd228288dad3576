"""Pictures of a prior as it is trained: samples by class, and the camera moving around them."""

from collections.abc import Sequence

import torch

from datamodules.classes import class_name, spread_labels
from lightning_modules.pictures.captions import labelled
from lightning_modules.pictures.drawing import Pictures, colored_disparity, sheet
from lightning_modules.pictures.stage1_pictures import swing_frames
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
    labels, side = spread_labels(generator.prior.kinds.classes, rows), model.resolution
    pictures, firsts = [], []
    for row, label in enumerate(labels):  # one at a time, for large priors on a busy GPU
        first = 0 if label >= 0 else SEEDS * row
        noise = SampleNoise(range(first, first + SEEDS), device)
        conditions = Conditions.of(torch.full((SEEDS,), label, device=device))
        tokens = generator.tokens(conditions, noise, sampling)
        scenes = model.decode_tokens(tokens)
        view = scenes.view(scenes.canonical, side, side)
        tiles = [*view.rgb.split(1), colored_disparity(view)[:1]]
        pictures.append(sheet(tiles).cpu())
        firsts.append(tokens[:1])
    names_of_rows = [class_name(label, names) for label in labels]
    samples = labelled(torch.cat(pictures, 1), names_of_rows)
    swing = swing_frames(model.decode_tokens(torch.cat(firsts)), model.view, side)
    return [Pictures("samples", [samples]), Pictures("novel_views", swing)]
