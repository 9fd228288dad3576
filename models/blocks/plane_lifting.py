"""Image tokens to tokens on three planes: where the camera sees them, then by cross-attention."""

import torch
from einops import rearrange
from torch import Tensor, nn

from models.blocks.token_layout import TokenLayout
from models.blocks.token_transformer import TokenTransformer
from models.blocks.vit import ViTSize
from renderers.rays import Rays

CELLS = 2
"""Cells of the volume along each side of a plane's token."""

COLUMNS = (
    "b (z n) (y i) (x j) c -> b (y x) (z n i j c)",
    "b (z n) (y i) (x j) c -> b (z x) (y n i j c)",
    "b (z n) (y i) (x j) c -> b (z y) (x n i j c)",
)
"""Columns of a volume along the normals of the planes (x, y), (x, z), (y, z), in raster order."""

CELL_WIDTH = 16
"""Features of a cell."""

GUIDE_CELLS = 1.0
"""Distance from a cell's middle, in cells, at which a patch is taken e^(-1/2) as much."""


class PlaneLifting(nn.Module):
    """Learned queries of three planes that attend to the tokens of an image, as in GINA-3D (arXiv
    2304.02163): (B, T', D') -> (B, T, D).

    Ours: every query starts from what is seen in the cells of its column of the object's box.
    Attention alone has to find out by rendering which patch belongs where; on the embedded data set
    it had not after 6,000 images. Shapes come out no finer than patches and cells.

    Args:
        size: of the transformer.
        layout: where the queries lie, three planes of equally many rows and columns.
        context_width: D' of the image tokens.
    """

    def __init__(self, size: ViTSize, layout: TokenLayout, context_width: int) -> None:
        super().__init__()
        self.grid = CELLS * layout.rows
        self.queries = nn.Parameter(torch.zeros(layout.tokens, size.width))
        self.seen = nn.Linear(context_width, CELL_WIDTH)
        column = CELLS**2 * self.grid * CELL_WIDTH
        self.columns = nn.ModuleList(nn.Linear(column, size.width) for _ in COLUMNS)
        self.transformer = TokenTransformer(size, layout, context_width)

    def forward(self, tokens: Tensor, rays: Rays) -> Tensor:
        """Lift image tokens (B, T', D'), whose patches are seen along rays (B, T') of the cube."""
        guides = cell_guides(rays, self.grid).to(tokens.dtype)
        cells = guides @ self.seen(tokens)  # (B, grid^3, c)
        volume = cells.unflatten(1, (self.grid, self.grid, self.grid))
        planes = [
            to_token(rearrange(volume, column, n=CELLS, i=CELLS, j=CELLS))
            for to_token, column in zip(self.columns, COLUMNS, strict=True)
        ]
        lifted: Tensor = self.transformer(self.queries + torch.cat(planes, 1), tokens)
        return lifted


@torch.no_grad()
def cell_guides(rays: Rays, grid: int) -> Tensor:
    """How much of each patch is seen through each cell of the cube, (B, grid^3, T'); rows add up
    to 1.

        w = softmax over patches of -d^2 / 2

    where d is the distance, in cells, of the cell's middle from the line of the patch's ray.

    Args:
        rays: (B, T') through the middles of the patches, in the frame of the cube [-1, 1]^3;
            directions of any length.
        grid: cells along each side; z changes slowest, x fastest.
    """
    middles = (2 * torch.arange(grid, device=rays.origins.device) + 1) / grid - 1
    z, y, x = torch.meshgrid(middles, middles, middles, indexing="ij")
    cells = torch.stack([x, y, z], -1).flatten(0, 2)  # (grid^3, 3)
    way = rays.directions / rays.directions.norm(dim=-1, keepdim=True)
    # With o moved to the ray's point nearest to the cube's centre, so that distances of far cameras
    # lose no digits, d^2 is |p|^2 + |o|^2 - 2 p . o - (p . way)^2: the first is the same for all
    # patches, the rest one product of numbers of the cell with numbers of the ray.
    origins = rays.origins - (rays.origins * way).sum(-1, keepdim=True) * way  # (B, T', 3)
    of_cells = torch.cat([_products(cells), cells, torch.ones_like(cells[:, :1])], -1)
    squares = origins.square().sum(-1, keepdim=True)
    of_rays = torch.cat([_products(way), 2 * origins, -squares], -1)  # (B, T', 13)
    scale = (grid / 2 / GUIDE_CELLS) ** 2 / 2
    logits = of_cells @ (scale * of_rays).transpose(1, 2)  # -d^2 / 2 but for a number of each cell
    return logits.softmax(-1)


def _products(vectors: Tensor) -> Tensor:
    """Products (..., 9) of the coordinates of vectors (..., 3) with each other."""
    return (vectors[..., :, None] * vectors[..., None, :]).flatten(-2)
