"""What is taken of the output of a model of transformers, without the package."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.errors import DataError
from lightning_modules.evaluation.transformers_trunk import TokenFeatures

IMAGES = torch.zeros(2, 3, 4, 4)


class Hidden(nn.Module):
    """A model whose output is fixed."""

    def __init__(self, last: Tensor, pooled: Tensor | None) -> None:
        super().__init__()
        self.output = SimpleNamespace(last_hidden_state=last, pooler_output=pooled)

    def forward(self, pixel_values: Tensor) -> Any:
        return self.output


def test_tokens_are_pooled_as_asked() -> None:
    tokens, pooled = torch.rand(2, 5, 3), torch.rand(2, 3)
    model = Hidden(tokens, pooled)
    assert torch.equal(TokenFeatures(model, True)(IMAGES), pooled)
    assert torch.equal(TokenFeatures(model, False)(IMAGES), tokens.mean(1))
    assert torch.equal(TokenFeatures(model, True, "cls")(IMAGES), tokens[:, 0])
    assert torch.equal(TokenFeatures(model, True, "mean")(IMAGES), tokens.mean(1))


def test_a_map_has_a_mean_but_no_first_token() -> None:
    features = torch.rand(2, 6, 2, 2)
    model = Hidden(features, features.mean((2, 3), keepdim=True))
    for pool in (None, "mean"):
        assert torch.equal(TokenFeatures(model, True, pool)(IMAGES), features.mean((2, 3)))
    with pytest.raises(DataError, match="--pool is cls, but this convolutional model has no tok"):
        TokenFeatures(model, True, "cls")(IMAGES)
