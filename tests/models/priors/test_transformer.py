"""Recomputing activations, and dropout, in the transformer of both priors."""

from collections.abc import Callable

import pytest
import torch
from tiny_priors import all_conditions, causal_prior, masked_prior, random_tokens
from torch import Tensor

from models.priors import transformer as module
from models.priors.token_prior import TokenPrior

BUILDERS = [causal_prior, masked_prior]


def loss_and_gradients(prior: TokenPrior) -> tuple[Tensor, dict[str, Tensor]]:
    """Of one training step, its dropout from a fixed seed."""
    prior.train()
    prior.zero_grad()
    torch.manual_seed(5)
    rng = torch.Generator().manual_seed(0)
    result = prior.training_loss(random_tokens(3), all_conditions(3), rng)
    result.loss.backward()
    return result.loss.detach(), {
        name: parameter.grad.clone()
        for name, parameter in prior.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_activations_change_neither_loss_nor_gradients(
    build: Callable[..., TokenPrior], dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, kept_gradients = loss_and_gradients(build(dropout=dropout))
    calls = []

    def counted(*arguments, really=module.checkpoint, **options):
        calls.append(arguments[0])
        return really(*arguments, **options)

    monkeypatch.setattr(module, "checkpoint", counted)
    prior = build(dropout=dropout, checkpointing=True)
    loss, gradients = loss_and_gradients(prior)
    assert calls == list(prior.transformer.blocks)
    assert torch.equal(loss, kept)
    assert gradients.keys() == kept_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.equal(gradient, kept_gradients[name]), name
    with torch.no_grad():
        prior(random_tokens(1), all_conditions(1))
    assert len(calls) == 2


@pytest.mark.parametrize("build", BUILDERS)
def test_a_training_step_moves_every_part(build: Callable[..., TokenPrior]) -> None:
    prior = build(dropout=0.1)
    _, gradients = loss_and_gradients(prior)
    silent = {"prefix.size_open", "prefix.semantics_open"}  # everything is known here
    for name, _ in prior.named_parameters():
        assert gradients[name].isfinite().all(), name
        assert gradients[name].any() != (name in silent), name


@pytest.mark.parametrize("build", BUILDERS)
def test_dropout_is_for_training_alone(build: Callable[..., TokenPrior]) -> None:
    prior, tokens, conditions = build(dropout=0.5), random_tokens(2), all_conditions(2)
    before = prior(tokens, conditions)
    assert torch.equal(prior(tokens, conditions), before)
    torch.testing.assert_close(before, build(dropout=0.0)(tokens, conditions))
    prior.train()
    assert not torch.allclose(prior(tokens, conditions), before)
    assert not torch.equal(prior(tokens, conditions), prior(tokens, conditions))
