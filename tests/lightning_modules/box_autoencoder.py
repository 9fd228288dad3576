"""An autoencoder of another system than VQ3D: boxes seen along the rays that come with images."""

import torch
from torch import Tensor, nn

from models.autoencoder import UNKNOWN, CanonicalView, Sight, TokenAutoencoder
from models.blocks.field import DensityPrior, TriplaneField
from models.blocks.quantizer import CodebookSize, VectorQuantizer
from models.blocks.token_layout import TokenLayout
from models.recipe import Recipe
from models.scenes import Scenes
from models.spaces import BoxSpace
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays

GRID, WIDTH, CHANNELS = 4, 16, 8


class BoxAutoencoder(TokenAutoencoder):
    """Patches to tokens to three planes of a box; depth labels are distances along the rays."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.resolution, self.view = 16, CanonicalView()
        self.space = BoxSpace(1.0, background=None)
        self.embed = nn.Conv2d(3, WIDTH, 4, 4)
        self.quantizer = VectorQuantizer(WIDTH, WIDTH, CodebookSize(16, 8))
        self.to_planes = nn.Linear(WIDTH, 3 * CHANNELS)
        self.field = TriplaneField(CHANNELS, 16, DensityPrior(0.0))
        self.calibrated = 0

    @property
    def layout(self) -> TokenLayout:
        return TokenLayout(GRID, GRID)

    def recipe(self) -> Recipe:
        return {"class_path": "box_autoencoder.BoxAutoencoder", "init_args": {}}

    def features(self, images: Tensor, sight: Sight = UNKNOWN) -> Tensor:
        return self.embed(images).flatten(2).transpose(1, 2)

    def calibrate(self, images: Tensor, rng: torch.Generator, sight: Sight = UNKNOWN) -> None:
        super().calibrate(images, rng, sight)
        self.calibrated += 1

    def decode(self, vectors: Tensor) -> Scenes:
        planes = self.to_planes(vectors).unflatten(1, (GRID, GRID)).unflatten(3, (3, CHANNELS))
        sampling = RaySampling(8, 0, "distance")
        planes = planes.permute(0, 3, 4, 1, 2)
        return Scenes(planes, self.field, self.space, sampling, self.view.camera())

    def scale_disparity(self, disparity: Tensor) -> Tensor:
        return disparity

    def image_rays(self, pixels: Tensor, given: Rays | None = None) -> Rays:
        assert given is not None
        return given

    def depth_share(self, rays: Rays) -> Tensor:
        return torch.ones_like(rays.directions[..., 0])
