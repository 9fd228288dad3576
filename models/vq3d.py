"""VQ3D (arXiv 2302.06833), stage 1: an image becomes tokens becomes a contracted-triplane NeRF.

    image -> ViT encoder -> quantiser -> ViT decoder -> three planes -> Scenes

One fixed canonical camera serves all images, so no pose is needed: a scene is what that camera saw.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from models.autoencoder import CanonicalView, TokenAutoencoder
from models.blocks.field import DensityPrior, TriplaneField
from models.blocks.plane_decoder import PlaneHead, PlaneSize
from models.blocks.quantizer import CodebookSize, Quantized, VectorQuantizer
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import PatchEmbedding, Transformer, ViTSize
from models.recipe import Recipe
from models.scenes import Scenes
from models.spaces import ContractedSpace
from renderers.cameras import Camera, cap_angles, uniform_pairs
from renderers.ray_sampling import RaySampling


@dataclass(frozen=True)
class NovelViews:
    """Cap of camera offsets around the canonical view, half-extents in radians."""

    yaw: float = math.pi / 8
    pitch: float = math.pi / 18

    def draw(self, view: CanonicalView, count: int, scale: float, rng: torch.Generator) -> Camera:
        """Draw `count` cameras uniformly from the cap, its extents multiplied by `scale`."""
        uniform = uniform_pairs(count, rng)
        return view.offset(*cap_angles(uniform, scale * self.yaw, scale * self.pitch))


class VQ3D(TokenAutoencoder):
    """The stage-1 autoencoder.

    Args:
        resolution: side of the square input, in pixels.
        patch: side of the patch behind one token; T = (resolution / patch)^2.
        encoder, decoder: sizes of the two transformers.
        codebook: size of the quantiser.
        planes: channels and side of the planes.
        field_hidden: width of the field MLP's hidden layer.
        prior: density of an untrained scene.
        view: the canonical camera.
        space: the contracted scene; with the default view an image covers 0.75 of the planes' width
            at the origin (0.46 with `inner` 1) and 0.36 far away.
        sampling: coarse and fine samples of a ray, linear in disparity.
    """

    def __init__(
        self,
        resolution: int = 256,
        patch: int = 8,
        encoder: ViTSize = ViTSize(512, 8, 8),
        decoder: ViTSize = ViTSize(768, 12, 12),
        codebook: CodebookSize = CodebookSize(),
        planes: PlaneSize = PlaneSize(),
        field_hidden: int = 64,
        prior: DensityPrior = DensityPrior(-3.0, 8.0),
        view: CanonicalView = CanonicalView(),
        space: ContractedSpace = ContractedSpace(inner=0.45),
        sampling: RaySampling = RaySampling(48, 48, "disparity"),
    ) -> None:
        super().__init__()
        if resolution % patch:
            raise ValueError(
                f"Resolution {resolution} is not a multiple of the patch {patch}: change `patch`."
            )
        self.resolution, self.patch, self.grid = resolution, patch, resolution // patch
        self.sizes = encoder, decoder, codebook, planes
        self.view, self.space, self.sampling = view, space, sampling
        self.embed = PatchEmbedding(patch, encoder.width)
        self.encoder = Transformer(encoder, self.grid)
        self.quantizer = VectorQuantizer(encoder.width, decoder.width, codebook)
        self.decoder = Transformer(decoder, self.grid)
        self.to_planes = PlaneHead(decoder.width, self.grid, planes)
        self.field = TriplaneField(planes.channels, field_hidden, prior)

    @property
    def layout(self) -> TokenLayout:
        """Where the tokens lie."""
        return TokenLayout(self.grid, self.grid)

    @property
    def codes(self) -> int:
        """Number of codes K."""
        return self.quantizer.size.codes

    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""
        encoder, decoder, codebook, planes = (asdict(size) for size in self.sizes)
        return {
            "class_path": "models.vq3d.VQ3D",
            "init_args": {
                "resolution": self.resolution,
                "patch": self.patch,
                "encoder": encoder,
                "decoder": decoder,
                "codebook": codebook,
                "planes": planes,
                "field_hidden": self.field.hidden.out_features,
                "prior": asdict(self.field.prior),
                "view": asdict(self.view),
                "space": asdict(self.space),
                "sampling": asdict(self.sampling),
            },
        }

    def encode(self, images: Tensor) -> Quantized:
        """Images (B, 3, H, W) in [0, 1] to tokens and the vectors they stand for."""
        return self.quantizer(self.encoder(self.embed(images)))

    def calibrate(self, images: Tensor, rng: torch.Generator) -> None:
        """Prepare the untrained quantiser with images (B, 3, H, W), once, before training."""
        self.quantizer.calibrate(self.encoder(self.embed(images)), rng)

    def decode(self, vectors: Tensor) -> Scenes:
        """Token vectors (B, T, D) to scenes."""
        planes = self.to_planes(self.decoder(vectors))
        canonical = self.view.camera(planes.device)
        return Scenes(planes, self.field, self.space, self.sampling, canonical)

    def lookup(self, tokens: Tensor) -> Tensor:
        """The vectors (B, T, D) that code indices (B, T) stand for."""
        return self.quantizer.lookup(tokens)

    def blend(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """Vectors (B, T, D) at a share of the way between two grids of code indices (B, T)."""
        return self.quantizer.blend(first, second, share)

    def reconstruct(self, images: Tensor) -> Scenes:
        """Images (B, 3, H, W) in [0, 1] to scenes, one forward pass."""
        return self.decode(self.encode(images).vectors)

    def forward(self, images: Tensor) -> tuple[Quantized, Scenes]:
        """Tokens and scenes of images (B, 3, H, W) in [0, 1]."""
        quantized = self.encode(images)
        return quantized, self.decode(quantized.vectors)
