"""The mapping network of a class-conditional StyleGAN2: latents and labels to styles."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from models.blocks.equalized import EqualizedLinear, leaky_relu


def normalize_second_moment(x: Tensor) -> Tensor:
    """Scale each row of (B, C) to a mean square of one (arXiv 1710.10196, section 4.2)."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class MappingNetwork(nn.Module):
    """Leaky ReLU layers from a latent and, if there are classes, an embedding of the label.

    Both are normalised by their second moment and concatenated. Float32 even under autocast.

    Args:
        latent: size Z of the latent z.
        classes: number of classes; 0 makes it unconditional.
        width: size W of the result, and of the embedding and the layers.
        layers: their number.
        lr_multiplier: by how much slower than the synthesis the layers learn.

    Raises ValueError for fewer than one layer.
    """

    def __init__(
        self,
        latent: int,
        classes: int,
        width: int,
        layers: int = 2,
        lr_multiplier: float = 0.01,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"A mapping of {layers} layers maps nothing: raise `layers` to 1.")
        self.latent = latent
        self.embedding = nn.Embedding(classes, width) if classes else None
        sizes = [latent + width * bool(classes)] + [width] * layers
        self.layers = nn.ModuleList(
            EqualizedLinear(inputs, outputs, lr_multiplier) for inputs, outputs in pairwise(sizes)
        )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map z (B, Z), standard normal, and labels (B,) int64 in [0, classes) to w (B, W).

        Labels are not looked at without classes.
        """
        with torch.autocast(z.device.type, enabled=False):
            x = normalize_second_moment(z.float())
            if self.embedding is not None:
                embedded = normalize_second_moment(self.embedding(labels).float())
                x = torch.cat([x, embedded], 1)
            for layer in self.layers:
                x = leaky_relu(layer(x))
        return x


@torch.no_grad()
def class_means(
    mapping: MappingNetwork, labels: Tensor, samples: int, rng: torch.Generator
) -> Tensor:
    """Return the mean w of each of `labels` (N,) over `samples` latents, the same for all, (N, W).

    The generator is on CPU; no gradient is recorded.
    """
    z = torch.randn(samples, mapping.latent, generator=rng).to(labels.device)
    return torch.stack([mapping(z, label.expand(samples)).mean(0) for label in labels])


def truncate(w: Tensor, mean: Tensor, psi: float) -> Tensor:
    """Move w (B, W) towards mean, (W,) or (B, W): psi = 1 keeps w, psi = 0 gives the mean.

    The truncation trick of arXiv 1812.04948, appendix B.
    """
    return mean + psi * (w - mean)
