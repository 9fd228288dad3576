"""What was measured of the scenes of an evaluation, so that no picture needs to be kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lightning_modules.evaluation.feature_network import Features

THUMBNAIL = 8
"""Side in pixels of pictures that tell poses."""


@dataclass(frozen=True)
class Measures:
    """What was measured of N scenes, on the CPU.

    labels: (N,) -1 unknown; features: of their images; novel: of their novel views, none of them
    where none were asked for; figures: (N,) float64 by name, NaN where a scene has no such figure;
    rotations: (N, 3, 3) cam2world of the cameras, NaN where they are unknown; thumbnails: (N, F)
    small pictures that tell poses, see `thumbnails`; clouds: (N, P, 6) points and normals on their
    surfaces, P 0 where none were asked for, NaN of scenes without one; told: (N, 8) what was asked
    of them and found, see `told_and_found`, of width 0 where nothing was.
    """

    labels: Tensor
    features: Features
    novel: Features
    figures: Mapping[str, Tensor]
    rotations: Tensor
    thumbnails: Tensor
    clouds: Tensor
    told: Tensor

    def __len__(self) -> int:
        """Number of scenes N."""
        return len(self.labels)

    @staticmethod
    def cat(parts: Sequence["Measures"]) -> "Measures":
        """Those of several parts, one after the other."""
        names = parts[0].figures
        return Measures(
            torch.cat([part.labels for part in parts]),
            Features.cat([part.features for part in parts]),
            Features.cat([part.novel for part in parts]),
            {name: torch.cat([part.figures[name] for part in parts]) for name in names},
            torch.cat([part.rotations for part in parts]),
            torch.cat([part.thumbnails for part in parts]),
            torch.cat([part.clouds for part in parts]),
            torch.cat([part.told for part in parts]),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name, for a file."""
        tensors = {
            "labels": self.labels,
            "vectors": self.features.vectors,
            "logits": self.features.logits,
            "novel_vectors": self.novel.vectors,
            "novel_logits": self.novel.logits,
            "rotations": self.rotations,
            "thumbnails": self.thumbnails,
            "clouds": self.clouds,
            "told": self.told,
        }
        tensors |= {f"figure {name}": values for name, values in self.figures.items()}
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    @staticmethod
    def of_arrays(arrays: Mapping[str, np.ndarray]) -> "Measures":
        """What `arrays` gave; KeyError if it is something else."""
        found = {name: torch.from_numpy(array) for name, array in arrays.items()}
        names = [name for name in found if name.startswith("figure ")]
        return Measures(
            found["labels"],
            Features(found["vectors"], found["logits"]),
            Features(found["novel_vectors"], found["novel_logits"]),
            {name.removeprefix("figure "): found[name] for name in names},
            found["rotations"],
            found["thumbnails"],
            found["clouds"],
            found["told"],
        )


def thumbnails(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] as the means (B, F) of 8 x 8 fields. Nearest ones are alike in
    pose more often than those by the pooled features of a classifier, which were to forget it."""
    return adaptive_avg_pool2d(images.float(), THUMBNAIL).flatten(1).cpu()
