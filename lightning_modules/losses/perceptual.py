"""LPIPS by torchmetrics, with the VGG16 trunk taken from a local file."""

from pathlib import Path

import torch
from torch import Tensor, nn

from datamodules.errors import DataError
from models.weights_file import read_weights

VGG16_FILE = "vgg16-397923af.pth"


def cached_weights(name: str) -> Path:
    """Where torch.hub, and the libraries that use it, keep the weights in a file of this name."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def find_vgg16_weights(path: str | None) -> Path:
    """The file of ImageNet VGG16 weights: the given path, else torchvision's cache.

    Raises:
        FileNotFoundError: naming the file, where it comes from and where to put it.
    """
    cached = cached_weights(VGG16_FILE)
    chosen = Path(path) if path else cached
    if chosen.is_file():
        return chosen
    raise FileNotFoundError(
        f"The perceptual loss needs VGG16's ImageNet weights and {chosen} does not exist: download "
        f"torchvision's VGG16_Weights.IMAGENET1K_V1 ({VGG16_FILE}) and put it at {cached}, or name "
        "its place in `perceptual_weights`, or set `weights.perceptual` to 0."
    )


class PerceptualLoss:
    """LPIPS distance of image pairs (arXiv 1801.03924, equation 1), VGG16 version.

    Sum over five layers of the learned channel weights times the squared difference of
    unit-normalised features, averaged over positions. Not an `nn.Module` on purpose: the frozen
    network is neither saved with checkpoints, nor averaged, nor wrapped for distribution.
    """

    def __init__(self, path: str | None = None) -> None:
        self.network = load_lpips(find_vgg16_weights(path))

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Mean LPIPS of (B, 3, H, W) images in [0, 1], H and W >= 16; gradients reach both."""
        self.network.to(predicted.device)
        return self.network(predicted, target, normalize=True).mean()


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
