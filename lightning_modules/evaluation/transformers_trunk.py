"""Image models of the transformers package as networks that give features."""

from typing import Any, Literal

from torch import Tensor, nn

from datamodules.errors import DataError
from lightning_modules.evaluation.trunks import NetworkOptions, Trunk
from lightning_modules.inference.transformers_models import (
    Pretrained,
    check_complete,
    open_pretrained,
)

Pool = Literal["cls", "mean"]


def transformers_trunk(
    name: str, pool: Pool | None = None, options: NetworkOptions = NetworkOptions()
) -> Trunk:
    """An image model of the transformers package, of which the vision part is taken.

    Args:
        name: a folder, or a model in its cache, e.g. facebook/dinov2-small.
        pool: the first token, or the mean of all; None takes its pooled output, else the mean.

    Raises:
        DataError: the package is not installed, nothing of that name is there, or its weights are
            not complete.
    """
    opened = open_pretrained(name, "AutoModel", "image model", "semantics", options.network)
    model, processor = opened.model, opened.processor
    side = _processed_side(processor)
    plain = processor.do_normalize is False
    mean, std = ((0.0,) * 3, (1.0,) * 3) if plain else (processor.image_mean, processor.image_std)
    called = opened.name + (f", {pool}" if pool else "")
    pooled = _is_pooled(opened, options.network)
    for key in opened.missing:
        # Drawn at random and unused, they would change the hash of the weights with every run.
        model.get_parameter(key).data.zero_()
    network = TokenFeatures(getattr(model, "vision_model", model), pooled, pool)
    network = network.float().eval().requires_grad_(False)
    return Trunk(called, network, side, tuple(mean), tuple(std))


def _is_pooled(opened: Pretrained, option: str) -> bool:
    """Whether the weights hold those of a pooling layer, which the package leaves at random where
    they don't; DataError if they lack others."""
    lost = tuple(name for name in opened.missing if "pooler" not in name)
    check_complete(opened._replace(missing=lost), option)
    return not opened.missing


def _processed_side(processor: Any) -> int:
    """Side of the square that a processor makes of images."""
    for sizes in (getattr(processor, "crop_size", None), getattr(processor, "size", None)):
        for key in ("height", "shortest_edge"):
            if sizes and dict(sizes).get(key):
                return int(dict(sizes)[key])
    return 224


class TokenFeatures(nn.Module):
    """The pooled output of an image model of transformers, or its first token, or the mean of all.

    Args:
        pooled: its weights hold those of its pooling, if it has one.
        pool: of the tokens; None takes the pooled output where there is one, else the mean.
    """

    def __init__(self, model: nn.Module, pooled: bool, pool: Pool | None = None) -> None:
        super().__init__()
        self.model, self.pooled, self.pool = model, pooled, pool

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of normalised images (B, 3, H, W); DataError if the first token is asked
        of a model without tokens."""
        output = self.model(pixel_values=images)
        vector = getattr(output, "pooler_output", None)
        if self.pool is None and self.pooled and vector is not None:
            return vector.flatten(1)
        tokens = output.last_hidden_state  # (B, T, F), or (B, F, h, w) of a convolutional model
        if self.pool == "cls":
            if tokens.ndim == 4:
                raise DataError(
                    "--pool is cls, but this convolutional model has no tokens: give mean, or "
                    "leave it out."
                )
            return tokens[:, 0]
        return tokens.mean(1) if tokens.ndim == 3 else tokens.mean((2, 3))
