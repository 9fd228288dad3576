"""A shard root and a configuration small enough to train in a second."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.build.driver import build_shards
from datamodules.build.writer import EncodedSample

SIDE = 16
CONFIG = f"""
trainer: {{accelerator: cpu, devices: 1, precision: 32-true, val_check_interval: 4}}
model:
  class_path: lightning_modules.stage1.Stage1
  init_args:
    max_images: 48
    ema_half_life: 20
    autoencoder:
      class_path: models.vq3d.VQ3D
      init_args:
        resolution: {SIDE}
        patch: 4
        encoder: {{width: 16, depth: 1, heads: 2}}
        decoder: {{width: 16, depth: 1, heads: 2}}
        codebook: {{codes: 8, width: 4}}
        planes: {{channels: 4, resolution: 8}}
        field_hidden: 8
        sampling: {{coarse: 4, fine: 4, spacing: disparity}}
    weights: {{perceptual: 0.0, adversarial: [[0, 0.0], [8, 0.1]], novel_view: 0.1}}
    rays: {{grid_stride: 2, patch: 8, patch_images: 2, novel_images: 2}}
    optimizer: {{lr: 1.0e-3, warmup: 8}}
    discriminator_optimizer: {{lr: 1.0e-3, warmup: 8, betas: [0.0, 0.99]}}
    discriminator: {{channel_base: 64, channel_max: 8, r1_interval: 2}}
data:
  class_path: datamodules.shard_datamodule.ShardDataModule
  init_args: {{resolution: {SIDE}, batch_size: 4, depth: true, num_workers: 0, lanes: 4}}
last_checkpoint: {{minutes: 0}}
scalars: {{every_images: 8}}
sheets: {{every_images: 16, images: 2}}
"""


def write_config(folder: Path) -> Path:
    """The configuration as a file."""
    path = folder / "tiny.yaml"
    path.write_text(CONFIG)
    return path


def write_shards(
    root: Path, train: tuple[int, ...] = (12, 12), val: tuple[int, ...] = (6,)
) -> None:
    """Shards of so many images each: a bright disc, nearer than its background."""
    counts = {"train": train, "val": val} if val else {"train": train}

    def samples(split: str, shard: int) -> Iterator[EncodedSample]:
        for row in range(counts[split][shard]):
            yield _sample(split, 100 * shard + row)

    build_shards(root, counts, samples, 1, ["disc"], SIDE, {"tool": "test"})


def _sample(split: str, number: int) -> EncodedSample:
    noise = np.random.default_rng([len(split), number])
    centre, (rows, columns) = noise.uniform(5, 11, 2), np.mgrid[:SIDE, :SIDE]
    disc = np.hypot(rows - centre[0], columns - centre[1]) < noise.uniform(2, 5)
    colors = noise.integers(0, 256, (2, 3), dtype=np.uint8)
    depth = np.where(disc, 60000, 9000).astype(np.uint16)
    return EncodedSample(
        key=f"{split}{number:04d}",
        image_bytes=_png(colors[disc.astype(int)]),
        image_ext="png",
        json_record={"label": 0, "class": "disc"},
        depth_png=_png(depth),
    )


def _png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()
