import pytest
import torch

from lightning_modules.losses.weights import Stage1Weights, weighted_sum


def test_sum_by_hand_over_the_terms_that_were_computed() -> None:
    # 2 * 0.5 + 3 * 4; depth has a weight and no term.
    terms = {"l2": torch.tensor(0.5), "quantizer": torch.tensor(4.0)}
    total = weighted_sum(terms, {"l2": 2.0, "quantizer": 3.0, "depth": 100.0})
    assert total.item() == pytest.approx(13)


def test_gradients_are_the_weights() -> None:
    terms = {name: torch.ones((), requires_grad=True) for name in ("l2", "depth")}
    weighted_sum(terms, {"l2": 2.0, "depth": 0.0}).backward()
    assert terms["l2"].grad.item() == 2
    assert terms["depth"].grad.item() == 0


def test_weights_follow_their_schedules() -> None:
    weights = Stage1Weights(l2=2, adversarial=[(100, 0.0), (300, 0.4)])
    at = weights.at(200)
    assert at["l2"] == 2
    assert at["adversarial"] == pytest.approx(0.2)
    assert set(at) == {
        "l2",
        "logit_laplace",
        "perceptual",
        "quantizer",
        "depth",
        "adversarial",
        "novel_view",
        "alpha",
        "opacity_entropy",
        "code_entropy",
        "size",
    }


def test_a_term_is_used_if_its_weight_ever_rises() -> None:
    weights = Stage1Weights(perceptual=0, depth=[(0, 0.0), (9, 0.0)], novel_view=[(0, 0), (9, 1)])
    assert not weights.ever_used("perceptual")
    assert not weights.ever_used("depth")
    assert weights.ever_used("novel_view")
    assert weights.ever_used("l2")
