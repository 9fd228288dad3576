"""VQ3D (arXiv 2302.06833), stage 1: an image becomes tokens becomes a contracted-triplane NeRF.

    image -> ViT encoder -> quantiser -> ViT decoder -> three planes -> Scenes

One fixed canonical camera serves all images, so no pose is needed: a scene is what that camera saw.
"""

from dataclasses import asdict

from torch import Tensor

from models.autoencoder import UNKNOWN, CanonicalView, Sight, TokenAutoencoder
from models.blocks.field import DensityPrior, TriplaneField
from models.blocks.plane_decoder import PlaneHead, PlaneSize
from models.blocks.quantizer import CodebookSize, VectorQuantizer
from models.blocks.token_layout import TokenLayout
from models.blocks.vit import PatchEmbedding, Transformer, ViTSize
from models.limits import SIDES, WIDTHS
from models.recipe import Recipe
from models.scenes import Scenes
from models.spaces import ContractedSpace
from renderers.ranges import check_number
from renderers.ray_sampling import RaySampling


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

    Raises ValueError for a number outside its range, and sizes that do not divide.
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
        check_number("model.autoencoder.resolution", resolution, *SIDES)
        check_number("model.autoencoder.patch", patch, *SIDES)
        check_number("model.autoencoder.field_hidden", field_hidden, *WIDTHS)
        if resolution % patch:
            raise ValueError(
                f"model.autoencoder.resolution is {resolution}, it must be a multiple of the "
                f"patch, {patch}: change `model.autoencoder.patch`."
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

    def features(self, images: Tensor, sight: Sight = UNKNOWN) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to what is quantised, (B, T, D)."""
        encoded: Tensor = self.encoder(self.embed(images))
        return encoded

    def decode(self, vectors: Tensor) -> Scenes:
        """Token vectors (B, T, D) to scenes."""
        planes = self.to_planes(self.decoder(vectors))
        canonical = self.canonical.on(planes.device)
        return Scenes(planes, self.field, self.space, self.sampling, canonical)

    def scale_disparity(self, disparity: Tensor) -> Tensor:
        """Map disparity of any shape linearly so that `space.far` becomes 0 and `near` 1."""
        return self.space.scale_disparity(disparity)
