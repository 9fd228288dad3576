"""A VQ3D autoencoder that is built in milliseconds."""

import torch

from models.blocks.plane_decoder import PlaneSize
from models.blocks.quantizer import CodebookSize
from models.blocks.vit import ViTSize
from models.spaces import ContractedSpace
from models.vq3d import VQ3D
from renderers.ray_sampling import RaySampling

SIDE = 16


def tiny_model(
    seed: int = 0, patch: int = 8, space: ContractedSpace = ContractedSpace(inner=0.45)
) -> VQ3D:
    torch.manual_seed(seed)
    return VQ3D(
        resolution=SIDE,
        patch=patch,
        encoder=ViTSize(16, 1, 2),
        decoder=ViTSize(16, 1, 2),
        codebook=CodebookSize(8, 4),
        planes=PlaneSize(4, 8),
        field_hidden=8,
        space=space,
        sampling=RaySampling(4, 0, "disparity"),
    )
