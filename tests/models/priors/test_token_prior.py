import json
from collections.abc import Callable

import pytest
import torch
from tiny_priors import CODES, all_conditions, random_tokens

from models.blocks.token_layout import TokenLayout
from models.blocks.vit import ViTSize
from models.priors.autoregressive import AutoregressivePrior
from models.priors.conditions import ConditionKinds
from models.priors.masked import MaskedDecoding, MaskedPrior
from models.priors.sampling import SampleNoise, TokenSampling
from models.priors.token_prior import TokenPrior, hits, smoothed, token_nll
from models.recipe import build_model

UNUSUAL = {
    "codes": CODES,
    "layout": TokenLayout(3, 2, 2),
    "size": ViTSize(24, 3, 2, 2.0),
    "kinds": ConditionKinds(5, True, True, 4),
    "dropout": 0.2,
    "label_smoothing": 0.3,
    "checkpointing": True,
}


def unusual_causal_prior() -> AutoregressivePrior:
    """No argument is at its default."""
    torch.manual_seed(0)
    return AutoregressivePrior(**UNUSUAL)


def unusual_masked_prior() -> MaskedPrior:
    torch.manual_seed(0)
    decoding = MaskedDecoding(5, "arccos", 1.5)
    return MaskedPrior(**UNUSUAL, schedule="linear", decoding=decoding)


BUILDERS = [unusual_causal_prior, unusual_masked_prior]


@pytest.mark.parametrize("build", BUILDERS)
def test_a_prior_comes_back_from_its_recipe_and_weights(build: Callable[[], TokenPrior]) -> None:
    prior = build()
    again = build_model(json.loads(json.dumps(prior.recipe())))
    assert type(again) is type(prior)
    assert again.recipe() == prior.recipe()
    again.load_state_dict(prior.state_dict())
    losses = []
    for model in (prior, again):
        torch.manual_seed(1)
        rng = torch.Generator().manual_seed(0)
        losses.append(model.training_loss(random_tokens(4), all_conditions(4), rng).loss)
    assert torch.equal(*losses)
    drawn = [
        model.eval().generate(all_conditions(4), SampleNoise(range(4)), TokenSampling())
        for model in (prior, again)
    ]
    assert torch.equal(*drawn)


@pytest.mark.parametrize("build", BUILDERS)
def test_a_prior_is_built_without_memory_and_filled(build: Callable[[], TokenPrior]) -> None:
    prior = build()
    with torch.device("meta"):
        empty = build_model(prior.recipe())
    assert {value.device.type for value in empty.state_dict().values()} == {"meta"}
    empty.load_state_dict(prior.state_dict(), assign=True)
    tokens, conditions = random_tokens(2), all_conditions(2)
    assert torch.equal(empty.eval()(tokens, conditions), prior.eval()(tokens, conditions))


def test_losses_of_tokens_against_their_definitions() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[0, 4, 2], [1, 1, 3]])
    nll = torch.empty(2, 3)
    for b in range(2):
        for t in range(3):
            nll[b, t] = -logits[b, t].softmax(-1)[tokens[b, t]].log()
    torch.testing.assert_close(token_nll(logits, tokens), nll)
    uniform = -logits.log_softmax(-1).mean(-1)
    torch.testing.assert_close(
        smoothed(token_nll(logits, tokens), logits, 0.3), 0.7 * nll + 0.3 * uniform
    )
    right = hits(logits, logits.argmax(-1))
    assert torch.equal(right, torch.ones(2, 3))
    assert not hits(logits, (logits.argmax(-1) + 1) % 5).any()
    assert token_nll(logits.bfloat16(), tokens).dtype == torch.float32


def test_labels_that_are_smoothed_away_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"label_smoothing is 1.0, it must be at least 0 and below"
    ):
        AutoregressivePrior(**UNUSUAL | {"label_smoothing": 1.0})
