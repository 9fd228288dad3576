"""A tiny GINA-3D."""

import torch

from models.autoencoder import CanonicalView
from models.blocks.field import DensityPrior
from models.blocks.plane_decoder import PlaneSize
from models.blocks.plane_upsampler import UpsamplerSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.gina3d import GINA3D, Coordinates
from renderers.ray_sampling import RaySampling


def tiny_gina3d(coordinates: Coordinates = "box", mask_dropout: float = 0.1) -> GINA3D:
    torch.manual_seed(0)
    return GINA3D(
        resolution=16,
        patch=4,
        grid=4,
        encoder=ViTSize(16, 1, 2),
        lifting=ViTSize(16, 1, 2),
        codebook=CodebookSize(32, 8),
        decoder=ViTSize(16, 1, 2),
        upsampler=UpsamplerSize(64, 16),
        planes=PlaneSize(4, 8),
        field_hidden=8,
        prior=DensityPrior(1.0),
        view=CanonicalView(radius=2.5),
        coordinates=coordinates,
        reach=0.8,
        background=0.5,
        sampling=RaySampling(4, 4, "distance"),
        mask_dropout=mask_dropout,
    )
