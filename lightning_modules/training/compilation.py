"""Compiling the blocks of a model by `torch.compile`, in place."""

import torch
import torch._dynamo
import torch._functorch.config
from torch import nn

from models.blocks.discriminators import ResidualBlock
from models.blocks.modulated import ModulatedConv
from models.blocks.super_resolution import ColorBlock
from models.blocks.synthesis import SynthesisBlock
from models.blocks.vit import TransformerBlock

BLOCKS = (TransformerBlock, SynthesisBlock, ColorBlock, ResidualBlock, ModulatedConv)
"""Modules that are compiled each as a whole, without a break in its graph."""
MOST_SHAPES = 64
"""Graphs that are kept: one for each kind and size of a block, with and without gradients."""


def compile_blocks(
    model: nn.Module, backend: str = "inductor", fullgraph: bool = False
) -> list[nn.Module]:
    """Compile every block of a model that is not part of another; returns those that were not yet.

    Names of weights stay, and copies of a block are not compiled. To be called before the weights
    are divided among processes. What a compiled block gives has no second derivative (PyTorch's
    limit): it is asked for under `torch.compiler.set_stance("force_eager")`.

    Args:
        backend: of `torch.compile`.
        fullgraph: refuse a block that breaks the graph, instead of running it in parts.
    """
    # A loss that is linearised differentiates a graph twice, so that it keeps its buffers.
    torch._functorch.config.donated_buffer = False
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(MOST_SHAPES, limit)
    blocks = [block for block in _outermost(model) if block._compiled_call_impl is None]
    for block in blocks:
        block.compile(backend=backend, fullgraph=fullgraph, dynamic=False)
    return blocks


def _outermost(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, BLOCKS):
        return [module]
    return [block for child in module.children() for block in _outermost(child)]
