"""Images drawn from a generator, batch by batch, with a progress bar."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from rich.progress import track

from datamodules.errors import DataError
from lightning_modules.evaluation.image_source import DrawnImages, ImageSource


@dataclass(frozen=True)
class FakeImages:
    """One image a label, with seeds 0, 1, and so on.

    Raises DataError if there is none, or batch_size is below 1.
    """

    source: ImageSource
    labels: Sequence[int]
    batch_size: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not self.labels or self.batch_size < 1:
            raise DataError(
                f"samples is {len(self.labels)}, batch_size {self.batch_size}: both must be at "
                "least 1."
            )

    def __iter__(self) -> Iterator[DrawnImages]:
        """Draw the batches."""
        starts = range(0, len(self.labels), self.batch_size)
        for start in track(starts, description="generated images"):
            labels = self.labels[start : start + self.batch_size]
            with torch.no_grad():
                yield self.source.draw(labels, range(start, start + len(labels)))
