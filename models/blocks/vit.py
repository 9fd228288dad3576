"""Pre-norm vision transformers: image to tokens, and a stack of blocks over tokens.

ViT-VQGAN (arXiv 2110.04627), the parent of VQ3D, builds both sides of its autoencoder of these.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from models.blocks.attention import attention


@dataclass(frozen=True)
class ViTSize:
    """Size of a transformer: token width, number of blocks, heads, MLP width over token width."""

    width: int = 512
    depth: int = 8
    heads: int = 8
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(
                f"ViT width {self.width} is not a multiple of heads {self.heads}: change `heads`."
            )


class SelfAttention(nn.Module):
    """Multi-head self-attention, (B, T, D) -> (B, T, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Let every token attend to all tokens of its image."""
        query, key, value = rearrange(
            self.qkv(x), "b t (three h d) -> three b h t d", three=3, h=self.heads
        )
        return self.out(rearrange(attention(query, key, value), "b h t d -> b t (h d)"))


class TransformerBlock(nn.Module):
    """Pre-norm residual block of self-attention and a GELU MLP, (B, T, D) -> (B, T, D)."""

    def __init__(self, size: ViTSize) -> None:
        super().__init__()
        hidden = int(size.width * size.mlp_ratio)
        self.norm_attention = nn.LayerNorm(size.width)
        self.attention = SelfAttention(size.width, size.heads)
        self.norm_mlp = nn.LayerNorm(size.width)
        self.mlp = nn.Sequential(
            nn.Linear(size.width, hidden), nn.GELU(), nn.Linear(hidden, size.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens, then channels."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.mlp(self.norm_mlp(x))


class Transformer(nn.Module):
    """Blocks over a fixed number of tokens with learned positions, (B, T, D) -> (B, T, D)."""

    def __init__(self, size: ViTSize, tokens: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.empty(tokens, size.width))
        self.blocks = nn.ModuleList(TransformerBlock(size) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.width)
        nn.init.trunc_normal_(self.position, std=0.02)
        _scale_residual_branches(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Add positions, run the blocks, normalise."""
        x = x + self.position
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class PatchEmbedding(nn.Module):
    """Cut an image into patches and map each linearly to a token, (B, 3, H, W) -> (B, T, D)."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.linear = nn.Linear(3 * patch * patch, width)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images in [0, 1]; tokens are in raster order."""
        pixels = rearrange(
            2 * images - 1, "b c (h p) (w q) -> b (h w) (p q c)", p=self.patch, q=self.patch
        )
        return self.linear(pixels)


def _scale_residual_branches(blocks: nn.ModuleList) -> None:
    """Shrink the last layer of each residual branch so that depth does not grow the variance."""
    scale = (2 * len(blocks)) ** -0.5
    for block in blocks:
        assert isinstance(block, TransformerBlock)
        output = block.mlp[-1]
        assert isinstance(output, nn.Linear)
        with torch.no_grad():
            block.attention.out.weight.mul_(scale)
            output.weight.mul_(scale)
