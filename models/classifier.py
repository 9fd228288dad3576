"""A compact image classifier: its features measure generators where Inception's can't be had."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.limits import MOST_CLASSES, SIDES, WIDTHS
from models.recipe import Recipe
from renderers.ranges import check_number

GROUPS = 8
"""Of each normalisation; the width is a multiple."""

SMALLEST = 16
"""Side in pixels: it is halved four times."""


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions with a skip, (B, C, H, W) -> (B, C', H/s, W/s).

    Args:
        inputs, outputs: channels C and C'.
        stride: s, 1 or 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, convolve and add."""
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return y + self.skip(F.avg_pool2d(x, self.stride) if self.stride > 1 else x)


class SmallClassifier(nn.Module):
    """A residual network of four blocks (pre-activation, arXiv 1603.05027, with group norms, so
    that what it says of an image does not depend on the batch).

    With the default width it has 0.5 M parameters.

    Args:
        classes: number of classes, at least 2.
        resolution: side in pixels that images of other sizes are resized to.
        width: channels of the first block, a multiple of 8; the last has four times as many.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, classes: int, resolution: int = 64, width: int = 32) -> None:
        super().__init__()
        check_number("model.classifier.classes", classes, 2, MOST_CLASSES)
        check_number("model.classifier.resolution", resolution, SMALLEST, SIDES[1])
        check_number("model.classifier.width", width, GROUPS, WIDTHS[1])
        if width % GROUPS:
            raise ValueError(
                f"model.classifier.width is {width}, it must be a multiple of {GROUPS}."
            )
        self.classes, self.resolution, self.width = classes, resolution, width
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, stride=2),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 3 * width, stride=2),
            ResidualBlock(3 * width, 4 * width, stride=1),
        )
        self.norm = nn.GroupNorm(GROUPS, 4 * width)
        self.head = nn.Linear(4 * width, classes)

    def recipe(self) -> Recipe:
        """Class and arguments to build this model again; see `models.recipe`."""
        arguments = {"classes": self.classes, "resolution": self.resolution, "width": self.width}
        return {"class_path": "models.classifier.SmallClassifier", "init_args": arguments}

    def features(self, images: Tensor) -> Tensor:
        """Penultimate features (B, 4 width) >= 0 of images (B, 3, H, W) in [0, 1]."""
        if images.shape[-2:] != (self.resolution, self.resolution):
            size = (self.resolution, self.resolution)
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        x = self.blocks(self.stem(2 * images - 1))
        return F.relu(self.norm(x)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        return self.head(self.features(images))
