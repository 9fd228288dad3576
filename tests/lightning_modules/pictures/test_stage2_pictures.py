"""Pictures of a prior as it is trained."""

from collections.abc import Callable

import pytest
import torch
from tiny_model import SIDE
from tiny_prior_run import stage1_model, tiny_prior

from lightning_modules.pictures.drawing import GAP, Pictures
from lightning_modules.pictures.stage2_pictures import SEEDS, sample_pictures
from models.generator import TokenGenerator
from models.priors.autoregressive import AutoregressivePrior
from models.priors.masked import MaskedPrior
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior

PRIORS = [AutoregressivePrior, MaskedPrior]


def pictures_of(prior: TokenPrior, rows: int) -> list[Pictures]:
    generator = TokenGenerator(prior.eval(), stage1_model())
    return sample_pictures(generator, ["disc", "square", "star"], TokenSampling(), rows)


@pytest.mark.parametrize("build", PRIORS)
@torch.no_grad()
def test_pictures_have_a_row_for_a_class_and_a_column_for_a_seed(
    build: Callable[..., TokenPrior],
) -> None:
    samples, views = pictures_of(tiny_prior(build), rows=2)
    tile = SIDE + GAP
    assert samples.name == "samples"
    (picture,) = samples.frames
    margin = picture.shape[2] - (SEEDS + 1) * tile  # names of the classes
    assert picture.shape[1] == 2 * tile
    assert margin > 0
    assert (picture[:, :, :margin] < 0.5).any(0).any()
    assert views.name == "novel_views"
    assert {frame.shape for frame in views.frames} == {(3, SIDE, 2 * SIDE)}
    assert not torch.equal(views.frames[0], views.frames[3])
    # The same seeds every time; the disparity in the last column is coloured.
    again = pictures_of(tiny_prior(build), rows=2)[0]
    assert torch.equal(again.frames[0], samples.frames[0])


@torch.no_grad()
def test_a_prior_without_classes_fills_the_rows_with_other_seeds() -> None:
    prior = tiny_prior(AutoregressivePrior, classes=0)
    samples, _ = pictures_of(prior, rows=2)
    tile = SIDE + GAP
    (picture,) = samples.frames
    first, second = picture[:, :tile, -tile:], picture[:, tile:, -tile:]
    assert not torch.equal(first, second)
