"""Any prior on any stage-1 model: the tools with one whose tokens lie on three planes."""

from pathlib import Path

import pytest
import torch
from plane_model import GRID, PlaneModel
from tiny_checkpoints import save_photo

from lightning_modules.inference.prior_scenes import PriorScenes
from lightning_modules.inference.regions import OUTLINE
from lightning_modules.inference.sample_grid import Grid, canonical_sheets
from lightning_modules.inference.token_edits import edit_sheet, open_photo, redrawn_tokens
from lightning_modules.inference.token_files import TokenScenes, read_tokens, write_tokens
from lightning_modules.pictures.stage2_pictures import sample_pictures
from lightning_modules.stage2 import check_prior
from models.blocks.vit import ViTSize
from models.generator import TokenGenerator
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionKinds
from models.priors.masked import MaskedPrior
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior


@pytest.fixture(params=[AutoregressivePrior, MaskedPrior])
def maker(request: pytest.FixtureRequest) -> PriorScenes:
    model = PlaneModel()
    torch.manual_seed(0)
    prior = request.param(model.codes, model.layout, ViTSize(16, 1, 2), ConditionKinds(2)).eval()
    assert isinstance(prior, TokenPrior)
    check_prior(prior, model, "stage1.ckpt")
    return PriorScenes("prior.ckpt", TokenGenerator(prior, model), ("chair", "mug"))


def test_samples_are_drawn_and_rendered(maker: PriorScenes) -> None:
    grid = Grid([0, 1], [0, 1, 2])
    drawn = maker.draw(grid.cells, 4)
    assert drawn.tokens is not None
    assert drawn.tokens.tokens.shape == (6, 3 * GRID * GRID)
    rgb, disparity = canonical_sheets(drawn.scene_at, grid, 8)
    assert rgb.shape == disparity.shape
    names = [pictures.name for pictures in sample_pictures(maker.generator, (), TokenSampling(), 2)]
    assert names == ["samples", "novel_views"]


def test_a_part_is_drawn_anew(maker: PriorScenes, tmp_path: Path) -> None:
    model = maker.autoencoder
    left_half = (0.0, 0.0, 0.5, 1.0)
    photo = open_photo(model, save_photo(tmp_path / "a.png", 1), left_half, "--region", "cpu")
    assert photo.inside.view(3, GRID, GRID)[1].tolist() == [[True, False]] * GRID
    drawn = redrawn_tokens(maker, photo, 1, range(8), keep=False)
    same = drawn == photo.tokens
    assert same[:, ~photo.inside].all()
    assert not same[:, photo.inside].all()
    picture = edit_sheet(model, [photo], drawn[:1], 8)
    assert picture.isfinite().all()
    # The region is one of the box, which the photograph may show from another side.
    assert not torch.isclose(picture, torch.tensor(OUTLINE)[:, None, None]).all(0).any()


def test_tokens_are_stored_for_the_other_verbs(maker: PriorScenes, tmp_path: Path) -> None:
    model, path = maker.autoencoder, tmp_path / "tokens.npz"
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    scenes = TokenScenes(model.encode(images / 255).tokens, ["a", "b"], [0, 1], [-1, -1])
    write_tokens(path, scenes, model, "note")
    assert torch.equal(read_tokens(str(path), model, "stage1.ckpt").tokens, scenes.tokens)
