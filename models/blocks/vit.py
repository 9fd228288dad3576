"""Pre-norm vision transformers: image to tokens, and a stack of blocks over tokens.

ViT-VQGAN (arXiv 2110.04627), the parent of VQ3D, builds both sides of its autoencoder of these.
"""

from dataclasses import dataclass
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from models.blocks.attention import attention
from models.limits import DEPTHS, WIDTHS
from renderers.ranges import check_number

POSITION_SCALE = 0.3
"""Amplitude of the initial positions beside tokens of about unit size."""

LONGEST_WAVE = 100.0
"""Longest wavelength of the initial positions, in units of 2 pi tokens."""


@dataclass(frozen=True)
class ViTSize:
    """Size of a transformer: token width, number of blocks, heads, MLP width over token width.

    Raises ValueError for a number outside its range, and a width that does not divide.
    """

    width: int = 512
    depth: int = 8
    heads: int = 8
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        check_number("width", self.width, *WIDTHS)
        check_number("depth", self.depth, *DEPTHS)
        check_number("heads", self.heads, *WIDTHS)
        check_number("mlp_ratio", self.mlp_ratio, 0.25, 64)
        if self.width % self.heads or self.width % 4:
            raise ValueError(
                f"width is {self.width}, it must be a multiple of 4 and of heads, {self.heads}."
            )


class SelfAttention(nn.Module):
    """Multi-head self-attention, (B, T, D) -> (B, T, D); causal: tokens see none after them."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Let every token attend to all tokens of its image, or to those up to itself."""
        query, key, value = rearrange(
            self.qkv(x), "b t (three h d) -> three b h t d", three=3, h=self.heads
        )
        mixed = attention(query, key, value, causal=self.causal)
        return self.out(rearrange(mixed, "b h t d -> b t (h d)"))


class CrossAttention(nn.Module):
    """Multi-head attention of tokens (B, T, D) to a context (B, T', D') of its own width."""

    def __init__(self, width: int, heads: int, context_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(context_width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Let every token attend to all of its context, which is taken in the dtype of `x`."""
        query = rearrange(self.query(x), "b t (h d) -> b h t d", h=self.heads)
        key, value = rearrange(
            self.key_value(context.to(x.dtype)), "b t (two h d) -> two b h t d", two=2, h=self.heads
        )
        return self.out(rearrange(attention(query, key, value), "b h t d -> b t (h d)"))


class TransformerBlock(nn.Module):
    """Pre-norm residual block of self-attention and a GELU MLP, (B, T, D) -> (B, T, D).

    Args:
        size: width, heads and width of the MLP.
        causal: tokens see none after them; they see all of a context.
        dropout: share of channels zeroed at the end of all branches while training.
        context_width: D' of a context that the tokens attend to between the two; None for none.
    """

    def __init__(
        self,
        size: ViTSize,
        causal: bool = False,
        dropout: float = 0.0,
        context_width: int | None = None,
    ) -> None:
        super().__init__()
        hidden = int(size.width * size.mlp_ratio)
        self.norm_attention = nn.LayerNorm(size.width)
        self.attention = SelfAttention(size.width, size.heads, causal)
        self.norm_cross: nn.LayerNorm | None = None
        self.cross_attention: CrossAttention | None = None
        if context_width is not None:
            self.norm_cross = nn.LayerNorm(size.width)
            self.cross_attention = CrossAttention(size.width, size.heads, context_width)
        self.norm_mlp = nn.LayerNorm(size.width)
        self.mlp = nn.Sequential(
            nn.Linear(size.width, hidden), nn.GELU(), nn.Linear(hidden, size.width)
        )
        self.dropout = nn.Dropout(dropout)

    @property
    def branches(self) -> int:
        """Number of residual branches."""
        return 2 if self.cross_attention is None else 3

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Mix tokens, take in the context (B, T', D') of a block built for one, mix channels.

        Raises:
            ValueError: no context for a block with `context_width`, or one for a block without.
        """
        x = x + self.dropout(self.attention(self.norm_attention(x)))
        if self.norm_cross is not None and self.cross_attention is not None:
            if context is None:
                raise ValueError("This TransformerBlock has a context_width: give it a context.")
            x = x + self.dropout(self.cross_attention(self.norm_cross(x), context))
        elif context is not None:
            raise ValueError("This TransformerBlock takes no context: give it a context_width.")
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class Transformer(nn.Module):
    """Blocks over the tokens of a square grid with learned positions, (B, T, D) -> (B, T, D).

    Positions start from `sine_positions`, so that neighbours are alike from the first step: for
    this autoencoder that halves the steps to a given error against independent random ones.
    """

    def __init__(self, size: ViTSize, grid: int) -> None:
        super().__init__()
        self.position = nn.Parameter(POSITION_SCALE * sine_positions(grid, size.width))
        self.blocks = nn.ModuleList(TransformerBlock(size) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width)
        scale_residual_branches(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Add positions, run the blocks, normalise."""
        x = x + self.position
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def sine_positions(grid: int, width: int) -> Tensor:
    """Sines and cosines of the row and the column of each token, (grid * grid, width) in [-1, 1].

    Half the channels for the row, half for the column, in geometrically spaced frequencies:
    arXiv 1706.03762 section 3.5 in two dimensions. `width` must be a multiple of 4.
    """
    axis = sine_waves(grid, width // 2)
    rows, columns = axis[:, None].expand(-1, grid, -1), axis.expand(grid, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def sine_waves(count: int, width: int) -> Tensor:
    """Sines and cosines of the numbers below `count`, (count, width) in [-1, 1].

    Frequencies are geometrically spaced; `width` must be even.
    """
    frequencies = LONGEST_WAVE ** (-torch.arange(width // 2) / (width // 2))
    phases = torch.arange(count)[:, None] * frequencies  # (count, width / 2)
    return torch.cat([phases.sin(), phases.cos()], -1)


class PatchEmbedding(nn.Module):
    """Cut an image into patches and map each linearly to a token, (B, C, H, W) -> (B, T, D)."""

    def __init__(self, patch: int, width: int, channels: int = 3) -> None:
        super().__init__()
        self.patch = patch
        self.linear = nn.Linear(channels * patch * patch, width)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images in [0, 1]; tokens are in raster order."""
        pixels = rearrange(
            2 * images - 1, "b c (h p) (w q) -> b (h w) (p q c)", p=self.patch, q=self.patch
        )
        return self.linear(pixels)


def scale_residual_branches(blocks: nn.ModuleList) -> None:
    """Shrink the last layer of each residual branch so that depth does not grow the variance."""
    transformers = [cast(TransformerBlock, block) for block in blocks]
    scale = sum(block.branches for block in transformers) ** -0.5
    for block in transformers:
        last = [block.attention.out, cast(nn.Linear, block.mlp[-1])]
        if block.cross_attention is not None:
            last.append(block.cross_attention.out)
        with torch.no_grad():
            for layer in last:
                layer.weight.mul_(scale)
