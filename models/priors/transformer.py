"""The transformer of both priors: blocks over tokens that already know where they are."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.blocks.vit import TransformerBlock, ViTSize, scale_residual_branches


class PriorTransformer(nn.Module):
    """Pre-norm blocks and a final norm, (B, T, D) -> (B, T, D).

    Args:
        size: width, depth and heads.
        causal: tokens see none after them.
        dropout: share of channels zeroed in every branch while training.
        checkpointing: recompute each block's activations in the backward pass, which costs a third
            more time and saves the memory of all but one block.
    """

    def __init__(self, size: ViTSize, causal: bool, dropout: float, checkpointing: bool) -> None:
        super().__init__()
        self.size, self.dropout, self.checkpointing = size, dropout, checkpointing
        self.blocks = nn.ModuleList(
            TransformerBlock(size, causal, dropout) for _ in range(size.depth)
        )
        self.norm = nn.LayerNorm(size.width)
        scale_residual_branches(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks, normalise."""
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x = cast(Tensor, checkpoint(block, x, use_reentrant=False))
            else:
                x = block(x)
        return self.norm(x)
