"""Images of shards are labelled in their order, whatever their sizes, and failures are told."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_depth
from datamodules.build.writer import EncodedSample
from datamodules.errors import DataError
from datamodules.image_bytes import decode_map
from datamodules.manifest import Parameter
from datamodules.remote import read_manifest
from lightning_modules.labelling.labeller import ImageLabeller
from lightning_modules.labelling.preview import TILE, preview

SIZES = [(8, 8), (6, 10), (8, 8), (6, 10), (8, 8), (9, 5), (8, 8)]
BROKEN, DARK, SMALL = 3, 4, 5


def image(number: int) -> bytes:
    """A plain picture whose grey tells its number; one is broken, one is black."""
    grey = 0 if number == DARK else 20 * (number + 1)
    buffer = io.BytesIO()
    Image.fromarray(np.full((*SIZES[number], 3), grey, np.uint8)).save(buffer, "PNG")
    content = buffer.getvalue()
    return content[:-20] + bytes(20) if number == BROKEN else content


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sizes")

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        for number in range(4 * shard, min(4 * shard + 4, len(SIZES))):
            yield EncodedSample(f"k{number}", image(number), "png", {"label": 0, "class": "a"})

    build_shards(folder, {"train": [4, 3]}, samples, 1, ["a"], None, {"tool": "test"})
    return str(folder)


class Grey:
    """Gives the grey level of an image; fails on narrow ones, and says nothing of black ones."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def made(self) -> dict[str, Parameter]:
        return {"network": "grey"}

    def __call__(self, pixels: Tensor) -> np.ndarray:
        self.seen.append(tuple(pixels.shape))
        if pixels.shape[3] < 6:
            raise RuntimeError("images are too narrow\nand more")
        return pixels.float().mean(1).numpy()

    def encoded(self, found: np.ndarray) -> bytes:
        if not found.any():
            raise ValueError("it is black")
        return encode_depth(found.astype(np.uint16))

    def unknown(self, height: int, width: int) -> bytes:
        return encode_depth(np.zeros((height, width), np.uint16))


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_labels_come_in_the_order_of_the_images(root: str, batch_size: int) -> None:
    labeller = ImageLabeller(root, Grey(), batch_size, threads=2)
    shards = read_manifest(root).splits["train"]
    found = [label for shard in shards for label in labeller("train", shard)]
    assert [label.key for label in found] == [f"k{number}" for number in range(len(SIZES))]
    for number, label in enumerate(found):
        values = decode_map(label.content, 16, SIZES[number], "depth")
        grey = 0 if number in (BROKEN, DARK, SMALL) else 20 * (number + 1)
        assert (values == grey).all()
    reasons = {n: label.unknown for n, label in enumerate(found) if label.unknown is not None}
    assert set(reasons) == {BROKEN, DARK, SMALL}
    assert reasons[DARK] == "it is black"
    assert reasons[SMALL] == "the network fails (images are too narrow)"


def test_images_of_one_size_are_looked_at_together(root: str) -> None:
    network = Grey()
    list(
        ImageLabeller(root, network, 3, threads=1)("train", read_manifest(root).splits["train"][0])
    )
    assert network.seen == [(2, 3, 8, 8), (1, 3, 6, 10)]  # the fourth is broken


def test_one_image_that_fails_does_not_spoil_its_batch(root: str) -> None:
    class Picky(Grey):
        def __call__(self, pixels: Tensor) -> np.ndarray:
            if (pixels[:, 0, 0, 0] == 20).any():
                raise RuntimeError("not this one")
            return super().__call__(pixels)

    first = read_manifest(root).splits["train"][0]
    found = list(ImageLabeller(root, Picky(), 4, threads=1)("train", first))
    assert found[0].unknown == "the network fails (not this one)"
    assert found[2].unknown is None


def test_too_little_memory_is_no_fault_of_an_image(root: str) -> None:
    class Large(Grey):
        def __call__(self, pixels: Tensor) -> np.ndarray:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        list(ImageLabeller(root, Large(), 4, 1)("train", read_manifest(root).splits["train"][0]))


def test_a_network_that_fails_on_everything_is_no_fault_of_the_images(root: str) -> None:
    class Broken(Grey):
        def __call__(self, pixels: Tensor) -> np.ndarray:
            raise ValueError("it gives 3 maps")

    first = read_manifest(root).splits["train"][0]
    with pytest.raises(DataError, match=r"none gets a label, on 3 the network fails \(it giv"):
        list(ImageLabeller(root, Broken(), 4, 1)("train", first))


def test_a_preview_shows_images_labels_and_both(root: str) -> None:
    labeller = ImageLabeller(root, Grey(), 4, threads=1)
    picture = preview(labeller, read_manifest(root), "depth", 3)
    assert picture.shape[1] >= 3 * TILE
    assert picture.shape[2] >= 3 * TILE
    everything = preview(labeller, read_manifest(root), "depth", 100)
    assert everything.shape[1] > 2 * picture.shape[1]
