"""A transformer over the tokens of all planes, which may attend to an image."""

from torch import Tensor, nn

from models.blocks.token_layout import TokenLayout, TokenPositions
from models.blocks.vit import TransformerBlock, ViTSize, scale_residual_branches


class TokenTransformer(nn.Module):
    """Blocks over the tokens of a layout with learned positions, (B, T, D) -> (B, T, D).

    Args:
        size: of the blocks.
        layout: where the tokens lie; tokens of all planes see each other.
        context_width: D' of a context that every block attends to, e.g. the tokens of an image;
            None for none.
    """

    def __init__(
        self, size: ViTSize, layout: TokenLayout, context_width: int | None = None
    ) -> None:
        super().__init__()
        self.size = size
        self.positions = TokenPositions(layout, size.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(size, context_width=context_width) for _ in range(size.depth)
        )
        self.norm = nn.LayerNorm(size.width)
        scale_residual_branches(self.blocks)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Add positions to tokens (B, T, D), run the blocks beside the context (B, T', D'),
        normalise."""
        x = x + self.positions()
        for block in self.blocks:
            x = block(x, context)
        normalised: Tensor = self.norm(x)
        return normalised
