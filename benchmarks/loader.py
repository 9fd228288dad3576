"""The input pipeline against a bare decoding loop, and its scaling with workers.

Setting: 256-pixel photographs with 16-bit depth and masks, batches of 25, one thread a process. The
bare loop decodes the same bytes, held in memory, with the same decoders, and throws the result
away. One process and the bare loop take turns batch by batch; one and two processes of each take
turns epoch by epoch. Without the shared photographs, images of their spectrum are generated.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg, decode_png

from benchmarks.harness import Rates, Result, Side, interleaved, ratio, result
from datamodules.build.driver import build_shards
from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask
from datamodules.build.prepare import Preparation
from datamodules.build.writer import EncodedSample
from datamodules.loader import ShardLoader
from datamodules.modalities import TRAIN
from datamodules.shard_datamodule import ShardDataModule

PHOTOGRAPHS = Path("../shared/data/imagenet-mini")
RESOLUTION = 256
IMAGES = 500
BATCH = 25
Encoded = tuple[bytearray, bytearray, bytearray]  # image, depth, mask


@dataclass(frozen=True)
class SyntheticSidecars:
    """Samples of one shard from encoded photographs, with smooth depth and a blob for a mask."""

    photographs: tuple[bytes, ...]
    shards: int

    def __call__(self, split: str, index: int) -> Iterator[EncodedSample]:
        """The samples of a shard: every `shards`-th photograph."""
        for number in range(index, len(self.photographs), self.shards):
            depth, mask = smooth_depth_and_blob(number)
            yield EncodedSample(
                key=f"photo{number:05d}",
                image_bytes=self.photographs[number],
                image_ext="jpg",
                json_record={"label": number % 10, "class": f"class{number % 10}"},
                depth_png=encode_depth(depth),
                mask_png=encode_mask(mask),
            )


def run(rates: Rates, rounds: int) -> list[Result]:
    """Write the shards, time every side in turn, return the figures."""
    encoded = read_photographs(PHOTOGRAPHS, IMAGES) or generate_photographs(IMAGES)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="wild3d-loader-") as folder:
            in_memory = write_shards(folder, encoded)
            return _figures(folder, in_memory, rates, rounds)
    finally:
        torch.set_num_threads(threads)


def _figures(root: str, in_memory: Sequence[Encoded], rates: Rates, rounds: int) -> list[Result]:
    one, two = _loader(root, num_workers=0), _loader(root, num_workers=2)
    batches = itertools.chain.from_iterable(itertools.repeat(one))
    starts = itertools.cycle(range(0, len(in_memory) - BATCH + 1, BATCH))

    def bare_batch() -> None:
        start = next(starts)
        bare_loop(in_memory[start : start + BATCH])

    turns: dict[str, Side] = {"bare": bare_batch, "pipeline": lambda: next(batches)}
    times = interleaved(turns, rounds * len(one), warmup=len(one))
    epochs: dict[str, Side] = {
        "one": lambda: list(one),
        "two": lambda: list(two),
        "bare one": lambda: bare_loop(in_memory),
        "bare two": lambda: two_bare_loops(in_memory),
    }
    passes = interleaved(epochs, rounds)
    share = statistics.median(times["bare"]) / statistics.median(times["pipeline"])
    rate = BATCH / statistics.median(times["pipeline"])
    # The two bare loops decode the set twice in their time.
    machine = 2 * ratio(passes, "bare one", "bare two")
    processes = ("two workers", "one process")
    return [
        result("loader_share", share, "x", ("one process", "bare decoding loop"), rates),
        result("loader_rate", rate, "images/s", ("one process", ""), rates),
        result("loader_scaling", ratio(passes, "one", "two"), "x", processes, rates),
        result("machine_scaling", machine, "x", ("two bare loops", "one"), rates),
    ]


def write_shards(root: str, encoded: Sequence[bytes]) -> list[Encoded]:
    """Write the shards to measure with; return the bytes of their samples."""
    shards = max(1, len(encoded) // 100)
    samples = SyntheticSidecars(tuple(encoded), shards)
    counts = [len(range(index, len(encoded), shards)) for index in range(shards)]
    classes = [f"class{label}" for label in range(10)]
    build_shards(root, {TRAIN: counts}, samples, 1, classes, RESOLUTION, {})
    return [
        (bytearray(s.image_bytes), bytearray(s.depth_png or b""), bytearray(s.mask_png or b""))
        for index in range(shards)
        for s in samples(TRAIN, index)
    ]


def bare_loop(samples: Sequence[Encoded]) -> int:
    """Decode image, depth and mask of every sample; return how many samples."""
    for image, depth, mask in samples:
        decode_jpeg(torch.frombuffer(image, dtype=torch.uint8), mode=ImageReadMode.RGB)
        for content in (depth, mask):
            decode_png(torch.frombuffer(content, dtype=torch.uint8), ImageReadMode.UNCHANGED)
    return len(samples)


def two_bare_loops(samples: Sequence[Encoded]) -> int:
    """Run the bare loop in two processes at once; return how many samples both decoded."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=bare_loop, args=(samples,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return 2 * len(samples)


def read_photographs(folder: Path, images: int) -> list[bytes]:
    """The first photographs of a folder of class folders as 256-pixel JPEGs, [] if absent."""
    files = sorted(folder.glob("*/*.jpg"))[:images]
    preparation = Preparation(RESOLUTION)
    return [preparation.image(file.read_bytes()).content for file in files]


def generate_photographs(images: int) -> list[bytes]:
    """JPEGs with the 1/f spectrum of photographs, so that they decode at a similar cost."""
    rows = np.fft.fftfreq(RESOLUTION)[:, None]
    columns = np.fft.rfftfreq(RESOLUTION)[None, :]
    falloff = 1 / np.maximum(np.hypot(rows, columns), 1 / RESOLUTION)
    encoded = []
    for number in range(images):
        noise = np.random.default_rng(number).standard_normal((3, RESOLUTION, RESOLUTION))
        luminance, *colour = np.fft.irfft2(np.fft.rfft2(noise) * falloff, s=noise.shape[1:])
        mixed = np.stack([luminance, luminance + 0.3 * colour[0], luminance + 0.3 * colour[1]], -1)
        pixels = np.clip(128 + 50 * mixed / mixed.std(), 0, 255)
        encoded.append(encode_jpeg(pixels.astype(np.uint8)))
    return encoded


def smooth_depth_and_blob(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Depth (256, 256) uint16 interpolated from a coarse grid; mask of where it is near."""
    coarse = np.random.default_rng(number).random((6, 6), np.float32)
    size = (RESOLUTION, RESOLUTION)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    depth = (1 + np.clip(smooth, 0, 1) * 65534).astype(np.uint16)
    return depth, (depth > 40000).astype(np.uint8)


def _loader(root: str, num_workers: int) -> ShardLoader:
    datamodule = ShardDataModule(
        root, RESOLUTION, BATCH, depth=True, mask=True, num_workers=num_workers, crop="random"
    )
    datamodule.setup()
    return datamodule.train_dataloader()
