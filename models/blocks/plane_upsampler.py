"""Token grids of three planes to feature planes, by the blocks of a StyleGAN2."""

from dataclasses import dataclass
from itertools import pairwise

from einops import rearrange
from torch import Tensor, nn

from models.blocks.mapping import normalize_second_moment
from models.blocks.modulated import ModulatedProjection
from models.blocks.plane_decoder import PLANES, PlaneSize
from models.blocks.synthesis import SynthesisBlock
from models.blocks.token_layout import TokenLayout
from models.limits import SIDES, WIDTHS
from renderers.ranges import check_number


@dataclass(frozen=True)
class UpsamplerSize:
    """Width of a style-based upsampler.

    channel_base: channels times resolution; channel_max: their upper limit.

    Raises ValueError for a number outside its range.
    """

    channel_base: int = 32768
    channel_max: int = 512

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("channel_base", self.channel_base, 1, SIDES[1] * WIDTHS[1])
        check_number("channel_max", self.channel_max, *WIDTHS)

    def channels(self, side: int) -> int:
        """Channels at a resolution, at least one."""
        return max(1, min(self.channel_max, self.channel_base // side))


class PlaneUpsampler(nn.Module):
    """Synthesis blocks that start from a scene's tokens instead of a constant.

    Every plane is an image of its own to the same blocks: its grid of tokens is their first layer,
    the mean of all tokens of the scene, with the plane's own offset, their style.

    (B, T, D) -> (B, P, C, H, W), channels-last in memory so that the triplane lookup reads the C
    features of a texel in one go.

    Raises ValueError unless the planes' side is a power of two times that of the token grid.
    """

    def __init__(
        self, width: int, layout: TokenLayout, planes: PlaneSize, size: UpsamplerSize
    ) -> None:
        super().__init__()
        self.layout = layout
        sides = _sides(layout, planes.resolution)
        widths = [size.channels(side) for side in sides]
        self.style = nn.Linear(width, width)
        self.plane = nn.Embedding(PLANES, width)
        self.start = nn.Linear(width, widths[0])
        self.first_planes = ModulatedProjection(widths[0], planes.channels, width)
        self.blocks = nn.ModuleList(
            SynthesisBlock(before, after, planes.channels, width, up=True)
            for before, after in pairwise(widths)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Grow the token grids to planes."""
        grid = rearrange(
            self.start(tokens),
            "b (p h w) c -> (b p) c h w",
            p=PLANES,
            h=self.layout.rows,
        )
        style = self.style(tokens.mean(1))[:, None] + self.plane.weight  # (B, P, D)
        w = normalize_second_moment(style.float().flatten(0, 1))
        planes = self.first_planes(grid, w)
        for block in self.blocks:
            grid, planes = block(grid, planes, w)
        return planes.unflatten(0, (-1, PLANES))


def _sides(layout: TokenLayout, resolution: int) -> list[int]:
    """Resolutions from that of the tokens to that of the planes, each twice the one before."""
    grid = layout.rows
    doublings = (resolution // grid).bit_length() - 1
    if layout.columns != grid or layout.planes != PLANES or grid << doublings != resolution:
        raise ValueError(
            f"Tokens on {layout} do not grow to planes of side {resolution} by doubling: change "
            "`planes.resolution` or `grid`."
        )
    return [grid << step for step in range(doublings + 1)]
