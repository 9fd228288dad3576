"""What priors, tools and metrics need of a stage-1 model, whichever system it is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from models.blocks.token_layout import TokenLayout
from models.recipe import Recipe
from models.scenes import Scenes
from renderers.cameras import Camera, orbit_camera


@dataclass(frozen=True)
class CanonicalView:
    """The camera every image is taken to be seen from: distance from the origin, field of view,
    and, in radians, where it is."""

    radius: float = 2.5
    fov_degrees: float = 40.0
    yaw: float = 0.0
    pitch: float = 0.0

    def camera(self, device: torch.device | str = "cpu") -> Camera:
        """The canonical camera, batch shape (1,)."""
        return self.offset(torch.zeros(1, device=device), torch.zeros(1, device=device))

    def offset(self, yaw: Tensor, pitch: Tensor) -> Camera:
        """Cameras (B,) turned around the origin by yaw and pitch (B,) in radians, from this one."""
        return orbit_camera(self.yaw + yaw, self.pitch + pitch, self.radius, self.fov_degrees)


class Tokens(Protocol):
    """What encoding gives, at least."""

    @property
    def tokens(self) -> Tensor:
        """Code indices (B, T) int64."""


class TokenAutoencoder(nn.Module, ABC):
    """Images to tokens to scenes. A prior over the tokens makes it a generator.

    resolution: side of the square images it encodes, in pixels; view: camera they are seen from.
    """

    resolution: int
    view: CanonicalView

    @property
    @abstractmethod
    def layout(self) -> TokenLayout:
        """Where the tokens lie."""

    @property
    @abstractmethod
    def codes(self) -> int:
        """Number of codes K."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tokens:
        """Images (B, 3, H, W) in [0, 1] to tokens."""

    @abstractmethod
    def decode(self, vectors: Tensor) -> Scenes:
        """Token vectors (B, T, D) to scenes."""

    @abstractmethod
    def lookup(self, tokens: Tensor) -> Tensor:
        """The vectors (B, T, D) that code indices (B, T) stand for."""

    @abstractmethod
    def blend(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """Vectors (B, T, D) at a share of the way between two grids of code indices (B, T)."""

    @abstractmethod
    def reconstruct(self, images: Tensor) -> Scenes:
        """Images (B, 3, H, W) in [0, 1] to scenes, one forward pass."""

    def decode_tokens(self, tokens: Tensor) -> Scenes:
        """Code indices (B, T) to scenes: what a prior over tokens generates."""
        return self.decode(self.lookup(tokens))
