"""An image encoder as a feature network: its vectors as they are, and no logits."""

import re

from torch import Tensor, nn
from torch.nn.functional import interpolate

from lightning_modules.evaluation.feature_network import FeatureNetwork
from lightning_modules.evaluation.image_encoders import ImageEncoder, open_encoder
from lightning_modules.evaluation.trunks import NetworkOptions

OPTIONS = NetworkOptions(
    "--features (`score.features` in training)",
    "--features_weights (`score.features_weights` in training)",
    side=None,
)
UNFIT_FOR_FILES = re.compile(r"[^\w.-]+")


def open_encoder_network(features: str, weights: str | None = None) -> FeatureNetwork:
    """An encoder of torchvision or transformers on the CPU; see `open_encoder`, of which it raises
    the errors."""
    encoder = open_encoder(features, weights, options=OPTIONS)
    mean, std = (", ".join(f"{value:g}" for value in of) for of in (encoder.mean, encoder.std))
    resize = f"to {encoder.side} px, bicubic with antialiasing; channels minus {mean}, over {std}"
    extractor = EncoderExtractor(encoder)
    return FeatureNetwork(_label(encoder), encoder.weights, resize, extractor, has_logits=False)


def _label(encoder: ImageEncoder) -> str:
    """E.g. transformers-dinov2-base-1a2b3c4d of transformers:facebook/dinov2-base."""
    package, _, name = encoder.name.partition(":")
    safe = UNFIT_FOR_FILES.sub("-", name.rpartition("/")[2])
    return f"{package}-{safe}-{encoder.weights[:8]}"


class EncoderExtractor(nn.Module):
    """An encoder with the resizing of its images."""

    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.network, self.side = encoder.network, encoder.side

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, F) and logits (B, 0) of images (B, 3, H, W) uint8."""
        size = (self.side, self.side)
        resized = interpolate(images.float() / 255, size, mode="bicubic", antialias=True)
        vectors = self.network(resized.clamp(0, 1))  # bicubic weights are negative in places
        return vectors, vectors.new_zeros(len(vectors), 0)
