"""What a feature network says of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Of N images, float32.

    vectors: penultimate activations (N, F), for FID and KID; logits: (N, C), for the Inception
    Score.
    """

    vectors: Tensor
    logits: Tensor

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.vectors)

    def cpu(self) -> "Features":
        """The same on the CPU."""
        return Features(self.vectors.cpu(), self.logits.cpu())

    @staticmethod
    def cat(parts: Sequence["Features"]) -> "Features":
        """Those of several batches, one after the other."""
        return Features(
            torch.cat([part.vectors for part in parts]), torch.cat([part.logits for part in parts])
        )
