"""GINA-3D (arXiv 2304.02163), stage 1: a crop of a driving scene becomes a tri-plane of tokens
becomes a NeRF in the object's box.

    image, mask -> ViT encoder -> cross-attention from plane queries, along its rays -> quantiser
          -> token transformer -> style-based upsampler -> three planes -> Scenes

Every image is seen along rays of its own, in the frame of its object's labelled box; the box ends
each ray, so that there is nothing but the object to render.
"""

from dataclasses import asdict
from typing import Literal

import torch
from torch import Tensor, nn

from models.autoencoder import UNKNOWN, CanonicalView, Sight, TokenAutoencoder
from models.blocks.field import DensityPrior, TriplaneField
from models.blocks.plane_decoder import PLANES, PlaneSize
from models.blocks.plane_lifting import PlaneLifting
from models.blocks.plane_upsampler import PlaneUpsampler, UpsamplerSize
from models.blocks.quantizer import CodebookSize, VectorQuantizer
from models.blocks.token_layout import TokenLayout
from models.blocks.token_transformer import TokenTransformer
from models.blocks.vit import PatchEmbedding, Transformer, ViTSize
from models.limits import LENGTHS, SIDES, WIDTHS
from models.recipe import Recipe
from models.scenes import Scenes
from models.spaces import SceneBoxes
from renderers.pixels import pixel_centres
from renderers.ranges import check_number
from renderers.ray_sampling import RaySampling
from renderers.rays import Rays, resampled_rays

Coordinates = Literal["box", "metric"]
"""What the cube of the planes stands for: each object's box, or a cube of one size for all."""

RGB_AND_MASK = 5
"""Channels that the image encoder sees: colours, object, and what is behind it."""


class GINA3D(TokenAutoencoder):
    """The stage-1 autoencoder.

    Args:
        resolution: side of the square input, in pixels.
        patch: side of the patch behind one image token.
        grid: side of the token grid of each plane; T = 3 grid^2.
        encoder: size of the image encoder.
        lifting: size of the transformer whose plane queries attend to the image tokens.
        codebook: size of the quantiser.
        decoder: size of the transformer over the tokens of all planes.
        upsampler: width of the style-based upsampler.
        planes: channels and side of the planes.
        field_hidden: width of the field MLP's hidden layer.
        prior: density of an untrained scene.
        view: camera that scenes are shown from where no other is given, in the box frame.
        coordinates: `box`: the planes' cube is the object's box, whatever its size; `metric`: it is
            a cube of half side `reach` for all objects, and the box only ends the rays.
        reach: half side of the largest object's box, in world units; the first guess of a size.
        background: grey level in [0, 1] behind objects.
        sampling: coarse and fine samples of a ray, between its two crossings of the box.
        mask_dropout: share of the training images whose masks the image encoder isn't shown, so
            that it learns to do without.

    Raises ValueError for a number outside its range, and sizes that do not divide.
    """

    uses_sight = True

    def __init__(
        self,
        resolution: int = 256,
        patch: int = 16,
        grid: int = 16,
        encoder: ViTSize = ViTSize(768, 12, 12),
        lifting: ViTSize = ViTSize(768, 4, 12),
        codebook: CodebookSize = CodebookSize(codes=2048, width=256),
        decoder: ViTSize = ViTSize(768, 8, 12),
        upsampler: UpsamplerSize = UpsamplerSize(),
        planes: PlaneSize = PlaneSize(),
        field_hidden: int = 64,
        prior: DensityPrior = DensityPrior(-1.0),
        view: CanonicalView = CanonicalView(radius=12.0, fov_degrees=40.0, yaw=0.6, pitch=0.25),
        coordinates: Coordinates = "box",
        reach: float = 3.0,
        background: float = 1.0,
        sampling: RaySampling = RaySampling(48, 48, "distance"),
        mask_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_number("model.autoencoder.resolution", resolution, *SIDES)
        check_number("model.autoencoder.patch", patch, *SIDES)
        check_number("model.autoencoder.grid", grid, *SIDES)
        check_number("model.autoencoder.field_hidden", field_hidden, *WIDTHS)
        check_number("model.autoencoder.reach", reach, *LENGTHS)
        check_number("model.autoencoder.background", background, 0, 1)
        check_number("model.autoencoder.mask_dropout", mask_dropout, 0, 1)
        if resolution % patch:
            raise ValueError(
                f"model.autoencoder.resolution is {resolution}, it must be a multiple of the "
                f"patch, {patch}: change `model.autoencoder.patch`."
            )
        if coordinates not in ("box", "metric"):
            raise ValueError(
                f"model.autoencoder.coordinates is {coordinates!r}, it must be 'box' or 'metric'."
            )
        self.resolution, self.patch = resolution, patch
        self.sizes = {
            "encoder": asdict(encoder),
            "lifting": asdict(lifting),
            "codebook": asdict(codebook),
            "decoder": asdict(decoder),
            "upsampler": asdict(upsampler),
            "planes": asdict(planes),
        }
        self.view, self.coordinates, self.reach = view, coordinates, reach
        self.background, self.sampling = background, sampling
        self.mask_dropout = mask_dropout
        self._layout = TokenLayout(grid, grid, PLANES)
        self.embed = PatchEmbedding(patch, encoder.width, RGB_AND_MASK)
        self.encoder = Transformer(encoder, resolution // patch)
        self.lifting = PlaneLifting(lifting, self._layout, encoder.width)
        self.quantizer = VectorQuantizer(
            lifting.width, decoder.width, codebook, self._layout.tokens
        )
        self.decoder = TokenTransformer(decoder, self._layout)
        self.to_planes = PlaneUpsampler(decoder.width, self._layout, planes, upsampler)
        self.to_size = nn.Linear(decoder.width, 3)
        self.field = TriplaneField(planes.channels, field_hidden, prior)

    @property
    def layout(self) -> TokenLayout:
        """Where the tokens lie."""
        return self._layout

    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""
        return {
            "class_path": "models.gina3d.GINA3D",
            "init_args": {
                "resolution": self.resolution,
                "patch": self.patch,
                "grid": self._layout.rows,
                **self.sizes,
                "field_hidden": self.field.hidden.out_features,
                "prior": asdict(self.field.prior),
                "view": asdict(self.view),
                "coordinates": self.coordinates,
                "reach": self.reach,
                "background": self.background,
                "sampling": asdict(self.sampling),
                "mask_dropout": self.mask_dropout,
            },
        }

    def features(self, images: Tensor, sight: Sight = UNKNOWN) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to what is quantised, (B, T, D): plane queries look at
        image tokens (B, T', D') along the rays of their patches."""
        seen = self.encoder(self.embed(torch.cat([images, self._shown_mask(images, sight)], 1)))
        lifted: Tensor = self.lifting(seen, self._patch_rays(len(seen), sight))
        return lifted

    def _shown_mask(self, images: Tensor, sight: Sight) -> Tensor:
        """The masks (B, 2, H, W) that the image encoder is shown beside images: of training images
        a share at random not, as if they were unknown."""
        if sight.mask is None:
            return torch.zeros_like(images[:, :2])
        mask = sight.mask.to(images.dtype)
        if not self.training:
            return mask
        draws = torch.rand(len(images), 1, 1, 1, device=images.device)
        return mask * (draws >= self.mask_dropout)

    def _patch_rays(self, images: int, sight: Sight) -> Rays:
        """Rays (B, T') through the middles of the patches, in the cube of the planes; objects of
        unknown size are taken for the largest."""
        side, patches = self.resolution, self.resolution // self.patch
        device = self.to_size.weight.device
        pixels = pixel_centres(patches, patches, device).expand(images, -1, -1)
        given = None if sight.rays is None else resampled_rays(sight.rays, side, pixels)
        rays = self.image_rays(pixels, given)
        space = self._space(torch.full((images, 3), self.reach, device=device))
        space = space if sight.size is None else space.sized(sight.size)
        return Rays(space.to_cube(rays.origins), space.to_cube(rays.directions))

    def decode(self, vectors: Tensor) -> Scenes:
        """Token vectors (B, T, D) to scenes, each in a box of the size that its tokens say."""
        tokens = self.decoder(vectors)
        half_extents = self.reach * self.to_size(tokens.mean(1)).float().sigmoid()
        canonical = self.canonical.on(tokens.device)
        planes, space = self.to_planes(tokens), self._space(half_extents)
        return Scenes(planes, self.field, space, self.sampling, canonical)

    def _space(self, half_extents: Tensor) -> SceneBoxes:
        reach = self.reach if self.coordinates == "metric" else None
        return SceneBoxes(half_extents, self.background, reach)

    def image_rays(self, pixels: Tensor, given: Rays | None = None) -> Rays:
        """The rays (B, R) that come with the images; the canonical camera's for a photograph
        without any."""
        return super().image_rays(pixels) if given is None else given

    def depth_share(self, rays: Rays) -> Tensor:
        """1 for all rays (B, R): depth labels are distances along them, as LiDAR measures."""
        return torch.ones_like(rays.directions[..., 0])

    def scale_disparity(self, disparity: Tensor) -> Tensor:
        """Map disparity of any shape linearly so that the far end of the largest box becomes 0, and
        its near end 1, as seen by the canonical camera."""
        near, far = max(self.view.radius - self.reach, 1e-2), self.view.radius + self.reach
        return (disparity - 1 / far) / (1 / near - 1 / far)
