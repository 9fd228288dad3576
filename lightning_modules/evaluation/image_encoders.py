"""Networks that turn images into feature vectors, given by name or path."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.transforms import Normalize

from datamodules.errors import DataError, first_line
from lightning_modules.evaluation.transformers_trunk import Pool, transformers_trunk
from lightning_modules.evaluation.trunks import (
    NetworkOptions,
    Trunk,
    classifier_trunk,
    torchvision_trunk,
)
from lightning_modules.inference.computing import whole_float32
from lightning_modules.inference.loading import weights_hash
from lightning_modules.inference.sampling_options import check_unused
from lightning_modules.inference.transformers_models import TRANSFORMERS

TORCHVISION = "torchvision:"
"""Before the name of such a network."""


@dataclass(frozen=True)
class ImageEncoder:
    """A frozen image encoder.

    name: for people, e.g. torchvision:resnet50; weights: SHA-256 in hex; side: of its images in
    pixels; width: numbers F in a vector; network: images (B, 3, side, side) in [0, 1] to (B, F),
    which are first normalised by mean and std of their channels.
    """

    name: str
    weights: str
    side: int
    width: int
    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to(self, device: torch.device | str) -> "ImageEncoder":
        """Move it to a device."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Vectors (B, F) float32 of length 1, of images (B, 3, side, side) in [0, 1]; NaN where the
        network gives zeros or what is not finite.

        Computed in whole float32 whatever autocast is active.
        """
        with whole_float32(images.device):
            vectors = self.network(images).float()
        return vectors / vectors.norm(dim=1, keepdim=True)


def open_encoder(
    network: str,
    weights: str | None = None,
    side: int | None = None,
    pool: Pool | None = None,
    options: NetworkOptions = NetworkOptions(),
) -> ImageEncoder:
    """An image encoder on the CPU; nothing is downloaded, and no weights are left at random.

    Args:
        network: `torchvision:NAME` of a classifier; `transformers:NAME` or `transformers:FOLDER`;
            or the path of a checkpoint of `make classifier`.
        weights: state dict of torchvision's network; by default it is looked for in torch's cache.
        side: of its images in pixels; by default that of its training.
        pool: of a model of transformers; see `transformers_trunk`.
        options: as errors call what was given.

    Raises:
        FileNotFoundError, DataError: it is not there, or holds something else, or takes no images
            of that side, or weights or a pooling are named that are not used.
    """
    trunk = _trunk(network, weights, pool, options)
    side = trunk.side if side is None else side
    whole = nn.Sequential(Normalize(trunk.mean, trunk.std), trunk.network).eval()
    try:
        with torch.no_grad():
            width = whole(torch.zeros(1, 3, side, side)).shape[1]
    except (AssertionError, RuntimeError, ValueError) as error:
        remedy = f"name another network in {options.network}"
        if options.side is not None:
            remedy = f"change {options.side}, or leave it out for {trunk.side}"
        raise DataError(
            f"{trunk.name} takes no images of {side} pixels ({first_line(error)}): {remedy}."
        ) from error
    digest = weights_hash(trunk.network)
    return ImageEncoder(trunk.name, digest, side, width, whole, trunk.mean, trunk.std)


def _trunk(network: str, weights: str | None, pool: Pool | None, options: NetworkOptions) -> Trunk:
    if not network.startswith(TRANSFORMERS):
        check_unused({"pool": pool}, "only models of transformers have tokens to pool")
    if network.startswith(TORCHVISION):
        return torchvision_trunk(network.removeprefix(TORCHVISION), weights, options)
    check_unused({"weights": weights}, "only networks of torchvision take weights from a file")
    if network.startswith(TRANSFORMERS):
        return transformers_trunk(network.removeprefix(TRANSFORMERS), pool, options)
    if not os.path.exists(network):
        raise DataError(
            f"There is no file {network}: name a checkpoint of a classifier (`make classifier`), "
            f"torchvision:NAME or transformers:NAME in {options.network}."
        )
    return classifier_trunk(network)
