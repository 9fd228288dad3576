"""Plain PyTorch in place of wild3d's fast paths: what they are measured against, in one network."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch.nn.functional as F
from torch import Tensor

from models.blocks.cpu import convolution
from models.blocks.equalized import EqualizedConv
from models.blocks.modulated import ModulatedConv, ModulatedProjection
from renderers import dispatch


@contextmanager
def plain_paths() -> Iterator[None]:
    """Compute by plain operations inside, backward passes too, as EG3D's own code does on CPU.

    Convolutions are `F.conv2d`, doublings `F.conv_transpose2d` and a depthwise filter, planes are
    sampled by `F.grid_sample`, samples integrated by eager operations, and images lie in memory as
    (C, H, W).
    """
    with ExitStack() as patches:
        for owner, name, plain in (
            (dispatch, "available", lambda: False),
            (convolution, "_wide", lambda _: False),
            (EqualizedConv, "forward", _dense(EqualizedConv.forward)),
            (ModulatedConv, "forward", _dense(ModulatedConv.forward)),
            (ModulatedProjection, "forward", _project),
        ):
            patches.enter_context(patch.object(owner, name, plain))
        yield


def _dense(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`forward` of a layer, whose results keep the layout of its input, on an input (C, H, W)."""

    def dense(layer: object, x: Tensor, *inputs: Tensor) -> Tensor:
        return forward(layer, x.contiguous(), *inputs)

    return dense


def _project(layer: ModulatedProjection, x: Tensor, w: Tensor) -> Tensor:
    """`ModulatedProjection` by scaling the image, then a convolution for the whole batch."""
    scale = layer.style(w) * layer.gain
    return F.conv2d(x * scale[:, :, None, None], layer.weight[:, :, None, None], layer.bias)
