import math

import pytest
import torch

from lightning_modules.losses.code_entropy import code_entropy_loss

CODES = torch.eye(4)


def test_one_code_each_and_all_used_is_the_least() -> None:
    assert code_entropy_loss(CODES[None], 7 * CODES).item() == pytest.approx(-math.log(4), abs=1e-5)


def test_one_code_for_all_is_worse_and_so_is_indecision() -> None:
    alike = CODES[:1].expand(1, 4, 4)
    undecided = torch.full((1, 4, 4), 0.5)
    assert code_entropy_loss(alike, CODES).item() == pytest.approx(0, abs=1e-5)
    assert code_entropy_loss(undecided, CODES).item() == pytest.approx(0, abs=1e-5)


def test_gradients_reach_latents_and_codes() -> None:
    latents = torch.nn.functional.normalize(torch.randn(2, 3, 4), dim=-1).requires_grad_()
    codes = CODES.clone().requires_grad_()
    code_entropy_loss(latents, codes, temperature=0.3).backward()
    assert latents.grad.abs().sum() > 0
    assert codes.grad.abs().sum() > 0
