"""LPIPS by torchmetrics, with the VGG16 trunk taken from a local file."""

from pathlib import Path

import torch
from torch import Tensor, nn

from datamodules.errors import DataError
from models.weights_file import read_weights

VGG16_FILE = "vgg16-397923af.pth"
SMALLEST_FOR_VGG = 16
"""Side in pixels that VGG16 can halve four times."""

IN_TRAINING = "name its place in `perceptual_weights`, or set `weights.perceptual` to 0"
IN_EVALUATION = "name its place in --perceptual_weights, or leave LPIPS out of --metrics"
"""What to do where VGG16's weights are not in the cache."""


def cached_weights(name: str) -> Path:
    """Where torch.hub, and the libraries that use it, keep the weights in a file of this name."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def find_vgg16_weights(path: str | None, remedy: str = IN_TRAINING) -> Path:
    """The file of ImageNet VGG16 weights: the given path, else torchvision's cache.

    Raises:
        FileNotFoundError: naming the file, where it comes from and where to put it, or else the
            remedy.
    """
    cached = cached_weights(VGG16_FILE)
    chosen = Path(path) if path else cached
    if chosen.is_file():
        return chosen
    raise FileNotFoundError(
        f"LPIPS needs VGG16's ImageNet weights and {chosen} does not exist: download torchvision's "
        f"VGG16_Weights.IMAGENET1K_V1 ({VGG16_FILE}) and put it at {cached}, or {remedy}."
    )


class PerceptualLoss:
    """LPIPS distance of image pairs (arXiv 1801.03924, equation 1), VGG16 version.

    Sum over five layers of the learned channel weights times the squared difference of
    unit-normalised features, averaged over positions. Not an `nn.Module` on purpose: the frozen
    network is neither saved with checkpoints, nor averaged, nor wrapped for distribution.

    path, remedy: see `find_vgg16_weights`.
    """

    def __init__(self, path: str | None = None, remedy: str = IN_TRAINING) -> None:
        self.network = load_lpips(find_vgg16_weights(path, remedy))

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Mean over a batch of `per_image`; gradients reach both."""
        return self.per_image(predicted, target).mean()

    def per_image(self, predicted: Tensor, target: Tensor) -> Tensor:
        """LPIPS (B,) of images (B, 3, H, W) in [0, 1].

        Raises:
            DataError: they are smaller than 16 pixels.
        """
        height, width = predicted.shape[-2:]
        if min(height, width) < SMALLEST_FOR_VGG:
            raise DataError(
                f"LPIPS needs images of {SMALLEST_FOR_VGG} pixels, these have {height} x {width}: "
                "take larger ones, or leave it out."
            )
        self.network.to(predicted.device)
        distances: Tensor = self.network(predicted, target, normalize=True)  # (B, 1, 1, 1)
        return distances.flatten()


def load_lpips(vgg16_weights: Path) -> nn.Module:
    """Build the LPIPS network from torchmetrics' learned heads and a VGG16 state dict.

    Raises:
        DataError: the file is not a torchvision VGG16 state dict, or can't be opened.
    """
    from torchmetrics.functional.image.lpips import _LPIPS

    where = "check --perceptual_weights (`perceptual_weights` in training)."
    try:
        trunk = read_weights(vgg16_weights)
    except ValueError as error:
        raise DataError(
            f"{vgg16_weights} is not a torchvision VGG16 state dict ({error}): {where}"
        ) from error
    network = _LPIPS(pretrained=True, net="vgg", pnet_rand=True)
    state = network.net.state_dict()  # slice<k>.<layer>.<weight|bias>
    names = {name: "features." + name.split(".", 1)[1] for name in state}
    for name, source in names.items():
        found = list(trunk[source].shape) if source in trunk else "none"
        if found != list(state[name].shape):
            raise DataError(
                f"{vgg16_weights} is not a torchvision VGG16 state dict ({source} is {found}, not "
                f"{list(state[name].shape)}): {where}"
            )
    network.net.load_state_dict({name: trunk[source] for name, source in names.items()})
    return network.eval().requires_grad_(False)
