"""A stage-1 model whose tokens lie on three planes, each token the texels of its place."""

import torch
from torch import Tensor, nn

from models.autoencoder import UNKNOWN, CanonicalView, Sight, TokenAutoencoder
from models.blocks.field import DensityPrior, TriplaneField
from models.blocks.quantizer import CodebookSize, VectorQuantizer
from models.blocks.token_layout import TokenLayout
from models.recipe import Recipe
from models.scenes import Scenes
from models.spaces import ContractedSpace
from renderers.ray_sampling import RaySampling

GRID, WIDTH = 2, 4


class PlaneModel(TokenAutoencoder):
    """Encodes four patches to three planes of 2 x 2 tokens."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.resolution, self.view = 16, CanonicalView()
        self.to_tokens = nn.Linear(3, 3 * WIDTH)
        self.quantizer = VectorQuantizer(WIDTH, WIDTH, CodebookSize(8, 4))
        self.field = TriplaneField(WIDTH, 8, DensityPrior(-3.0, 8.0))
        self.requires_grad_(False)

    @property
    def layout(self) -> TokenLayout:
        return TokenLayout(GRID, GRID, 3)

    def recipe(self) -> Recipe:
        return {"class_path": "plane_model.PlaneModel", "init_args": {}}

    def features(self, images: Tensor, sight: Sight = UNKNOWN) -> Tensor:
        means = nn.functional.adaptive_avg_pool2d(images, GRID).flatten(2).transpose(1, 2)
        of_planes = self.to_tokens(means).unflatten(2, (3, WIDTH)).transpose(1, 2)  # (B, P, 4, D)
        return of_planes.flatten(1, 2)

    def decode(self, vectors: Tensor) -> Scenes:
        planes = vectors.unflatten(1, (3, GRID, GRID)).permute(0, 1, 4, 2, 3)
        sampling = RaySampling(4, 0, "disparity")
        return Scenes(planes, self.field, ContractedSpace(), sampling, self.view.camera())

    def scale_disparity(self, disparity: Tensor) -> Tensor:
        return disparity
