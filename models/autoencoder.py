"""Stage-1 models, images to tokens to scenes: the contract that training, priors, tools and metrics
rely on, whichever system it is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.blocks.quantizer import Quantized, VectorQuantizer
from models.blocks.token_layout import TokenLayout
from models.limits import FIELDS_OF_VIEW, LENGTHS
from models.recipe import Recipe
from models.scenes import Scenes, axis_cosine, expand_camera
from renderers.cameras import Camera, orbit_camera
from renderers.ranges import check_number
from renderers.rays import Rays, rays_at


@dataclass(frozen=True)
class CanonicalView:
    """The camera every image is taken to be seen from: distance from the origin, field of view,
    and, in radians, where it is.

    Raises ValueError for a number outside its range.
    """

    radius: float = 2.5
    fov_degrees: float = 40.0
    yaw: float = 0.0
    pitch: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("radius", self.radius, *LENGTHS)
        check_number("fov_degrees", self.fov_degrees, *FIELDS_OF_VIEW)
        check_number("yaw", self.yaw, -6.2832, 6.2832)
        check_number("pitch", self.pitch, -1.5708, 1.5708)

    def camera(self, device: torch.device | str = "cpu") -> Camera:
        """The canonical camera, batch shape (1,)."""
        return self.offset(torch.zeros(1, device=device), torch.zeros(1, device=device))

    def offset(self, yaw: Tensor, pitch: Tensor) -> Camera:
        """Cameras (B,) turned around the origin by yaw and pitch (B,) in radians, from this one."""
        return orbit_camera(self.yaw + yaw, self.pitch + pitch, self.radius, self.fov_degrees)


class FixedCamera:
    """The camera of a view, made once for a device: it takes some thirty small operations."""

    def __init__(self, view: CanonicalView) -> None:
        self.view = view
        self._made: Camera | None = None

    def on(self, device: torch.device) -> Camera:
        """It, batch shape (1,)."""
        if self._made is None or self._made.cam2world.device != device:
            # Asked for by a validation first, it will be trained with.
            with torch.inference_mode(False):
                self._made = self.view.camera(device)
        return self._made


@dataclass(frozen=True)
class Sight:
    """What is known of how B images were seen; most systems take them as seen by one camera.

    rays: (B, H * W) through the centres of all pixels, row by row; None: the canonical camera's.
    size: (B, 3) length, width and height of the objects' boxes, NaN where unknown; None: unknown.
    mask: (B, 2, H, W) whether pixels show the object, and whether what is behind it; neither where
        something is before it, or where it is unknown. None: unknown.
    """

    rays: Rays | None = None
    size: Tensor | None = None
    mask: Tensor | None = None


UNKNOWN = Sight()


@dataclass(frozen=True)
class Reconstruction:
    """B images as tokens and as scenes."""

    quantized: Quantized
    scenes: Scenes


class TokenAutoencoder(nn.Module, ABC):
    """Images to tokens to scenes. A prior over the tokens makes it a generator.

    A system supplies `features`, `decode`, `layout`, `recipe` and `scale_disparity`. By default
    all images are seen by the one camera of `view`, depth labels are along its axis, and an
    untrained model is calibrated by its quantiser.

    resolution: side of the square images it encodes, in pixels; view: camera they are seen from;
    uses_sight: whether `features` looks at the rays and the masks of the images; background: grey
    level behind its scenes, None where they go on.
    """

    uses_sight: ClassVar[bool] = False
    background: float | None = None

    resolution: int
    view: CanonicalView
    quantizer: VectorQuantizer

    @property
    @abstractmethod
    def layout(self) -> TokenLayout:
        """Where the tokens lie."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""

    @abstractmethod
    def features(self, images: Tensor, sight: Sight = UNKNOWN) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to what is quantised, (B, T, D)."""

    @abstractmethod
    def decode(self, vectors: Tensor) -> Scenes:
        """Token vectors (B, T, D) to scenes."""

    @abstractmethod
    def scale_disparity(self, disparity: Tensor) -> Tensor:
        """Map disparity of any shape linearly so that the farthest becomes 0 and the nearest 1."""

    def image_rays(self, pixels: Tensor, given: Rays | None = None) -> Rays:
        """The rays (B, R) that images are seen along at pixels (B, R, 2) in [0, 1].

        given: those that come with the images, for systems that know them; the canonical camera's
        by default.
        """
        return rays_at(self._cameras(pixels), pixels)

    def depth_share(self, rays: Rays) -> Tensor:
        """Depth as labels measure it, as a share (B, R) of the distance along rays: by default that
        along the canonical camera's axis."""
        return axis_cosine(rays, self._cameras(rays.directions))

    @cached_property
    def canonical(self) -> FixedCamera:
        """The camera of `view`."""
        return FixedCamera(self.view)

    def _cameras(self, like: Tensor) -> Camera:
        return expand_camera(self.canonical.on(like.device), len(like))

    @property
    def codes(self) -> int:
        """Number of codes K."""
        return self.quantizer.size.codes

    def encode(self, images: Tensor, sight: Sight = UNKNOWN) -> Quantized:
        """Images (B, 3, H, W) in [0, 1] to tokens and the vectors they stand for."""
        quantized: Quantized = self.quantizer(self.features(images, sight))
        return quantized

    def calibrate(self, images: Tensor, rng: torch.Generator, sight: Sight = UNKNOWN) -> None:
        """Prepare the untrained model with images (B, 3, H, W), once, before training."""
        self.quantizer.calibrate(self.features(images, sight), rng)

    def lookup(self, tokens: Tensor) -> Tensor:
        """The vectors (B, T, D) that code indices (B, T) stand for."""
        return self.quantizer.lookup(tokens)

    def blend(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """Vectors (B, T, D) at a share of the way between two grids of code indices (B, T)."""
        return self.quantizer.blend(first, second, share)

    def reconstruct(self, images: Tensor, sight: Sight = UNKNOWN) -> Scenes:
        """Images (B, 3, H, W) in [0, 1] to scenes, one forward pass."""
        return self.decode(self.encode(images, sight).vectors)

    def decode_tokens(self, tokens: Tensor) -> Scenes:
        """Code indices (B, T) to scenes: what a prior over tokens generates."""
        return self.decode(self.lookup(tokens))

    def forward(self, images: Tensor, sight: Sight = UNKNOWN) -> Reconstruction:
        """Tokens and scenes of images (B, 3, H, W) in [0, 1]."""
        quantized = self.encode(images, sight)
        return Reconstruction(quantized, self.decode(quantized.vectors))
