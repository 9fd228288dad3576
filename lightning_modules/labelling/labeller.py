"""Labels of the images of a shard, by a network that sees them in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from datamodules.build.labelling import Label, stated_size
from datamodules.errors import DataError, first_line
from datamodules.image_bytes import decode_image
from datamodules.join import JoinedShard, RawSample
from datamodules.manifest import Parameter, ShardInfo
from datamodules.modalities import RGB

AHEAD = 4
"""Batches of which images are decoded at a time: those of one size are looked at together."""
FAILS = "the network fails"
"""Beginning of the reason where it raises an error."""


class LabelNetwork(Protocol):
    """A network whose answer to an image becomes its label."""

    def made(self) -> dict[str, Parameter]:
        """All that the labels depend on, for the manifest."""

    def __call__(self, pixels: Tensor) -> np.ndarray:
        """Answers (B, H, W) to images (B, 3, H, W) uint8."""

    def encoded(self, found: np.ndarray) -> bytes:
        """The label of an answer (H, W); ValueError with the reason if it says nothing."""

    def unknown(self, height: int, width: int) -> bytes:
        """The label of an image it knows nothing of."""


@dataclass(frozen=True)
class ImageLabeller:
    """Callable (split, shard) -> the labels of its images, in their order.

    An image that can't be decoded, or that the network fails on, gets an unknown label and the
    reason. threads: that decode images.
    """

    root: str
    network: LabelNetwork
    batch_size: int
    threads: int

    def __call__(self, split: str, shard: ShardInfo) -> Iterator[Label]:
        """Decode and label one shard. Batches do not depend on which process it is."""
        at_once = AHEAD * self.batch_size
        images = JoinedShard(self.root, split, shard, (RGB,), strict=True)
        try:
            with ThreadPoolExecutor(self.threads) as pool:
                for start in range(0, shard.samples, at_once):
                    rows = range(start, min(start + at_once, shard.samples))
                    found = list(self.labels(list(pool.map(decoded, map(images.read, rows)))))
                    if start == 0:
                        self._check_any(found, f"{split}/{shard.name}")
                    yield from found
        finally:
            images.close()

    def _check_any(self, labels: Sequence[Label], shard: str) -> None:
        """DataError if the network fails on the first images of a shard: it is not they."""
        reasons = [label.unknown for label in labels if label.unknown is not None]
        failures = [reason for reason in reasons if reason.startswith(FAILS)]
        if len(reasons) == len(labels) and len(failures) > len(labels) / 2:
            raise DataError(
                f"{self.network.made()['network']}: of the first images of {shard} none gets a "
                f"label, on {len(failures)} {failures[0]}: name another --network, or mend its "
                "settings."
            )

    def labels(self, images: Sequence[DecodedImage]) -> Iterator[Label]:
        """Labels of some images, in their order."""
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            if image.pixels is not None:
                alike[image.pixels.shape].append(place)
        found: dict[int, bytes | str] = {}
        for places in alike.values():
            for start in range(0, len(places), self.batch_size):
                some = places[start : start + self.batch_size]
                pixels = [image.pixels for place in some if (image := images[place])]
                found |= zip(some, self._answers([p for p in pixels if p is not None]), strict=True)
        for place, image in enumerate(images):
            answer = found.get(place, image.fault)
            if isinstance(answer, bytes):
                yield Label(image.key, answer)
            else:
                yield Label(image.key, self.network.unknown(*image.size), answer)

    def _answers(self, pixels: Sequence[np.ndarray]) -> list[bytes | str]:
        """Labels of images of one size, or why there is none."""
        try:
            stacked = torch.from_numpy(np.stack(pixels)).movedim(-1, 1).contiguous()
            answers = self.network(stacked)
        except (torch.OutOfMemoryError, torch.AcceleratorError):  # no fault of the images
            raise
        except (RuntimeError, ValueError) as error:
            if len(pixels) == 1:
                return [f"{FAILS} ({first_line(error)})"]
            return [answer for one in pixels for answer in self._answers([one])]
        return [self._encoded(answer) for answer in answers]

    def _encoded(self, answer: np.ndarray) -> bytes | str:
        try:
            return self.network.encoded(answer)
        except ValueError as error:
            return str(error)


@dataclass(frozen=True)
class DecodedImage:
    """Pixels (H, W, 3) uint8 of the image of a key, or why there are none, and its size (H, W)."""

    key: str
    pixels: np.ndarray | None
    size: tuple[int, int]
    fault: str | None = None


def decoded(raw: RawSample) -> DecodedImage:
    """The image of a sample, whole, as it is stored."""
    try:
        pixels = decode_image(raw.payload, raw.extension)
    except ValueError as error:
        return DecodedImage(raw.key, None, stated_size(raw), str(error))
    return DecodedImage(raw.key, pixels, (pixels.shape[0], pixels.shape[1]))
