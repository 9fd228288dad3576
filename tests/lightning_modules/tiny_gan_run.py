"""A GAN small enough to train in a second, on the tiny shards."""

from pathlib import Path

from run_processes import Runs

MAX_IMAGES = 48
CONFIG = """
trainer: {accelerator: cpu, devices: 1, precision: 32-true, val_check_interval: 4}
model:
  class_path: lightning_modules.gan.GAN
  init_args:
    max_images: 48
    ema_half_life: 20
    generator:
      classes: 1
      resolution: 16
      raw_resolution: 8
      backbone: {latent: 8, width: 8, channel_base: 64, channel_max: 8}
      planes: {channels: 4, resolution: 8}
      field_hidden: 8
      sampling: {coarse: 4, fine: 4}
      refiner_widths: [6, 4]
    discriminator: {channel_base: 64, channel_max: 8, r1_interval: 2}
    density: {interval: 2, points: 10}
    collapse: {every_images: 8, scenes: 4}
    shown: {blur: [[0, 2.0], [24, 0.0]], augment: {changes: [color, translation, cutout]}}
    score: {images: 8}
data:
  class_path: datamodules.shard_datamodule.ShardDataModule
  init_args: {resolution: 16, batch_size: 4, num_workers: 0, lanes: 4}
last_checkpoint: {minutes: 0}
best_checkpoint: {monitor: val/non_flatness, mode: max}
scalars: {every_images: 8}
sheets: {every_images: 16, images: 2}
"""


class GANRuns(Runs):
    """Runs of this GAN."""

    @staticmethod
    def write(folder: Path, root: Path) -> "GANRuns":
        """Put the configuration into a file, to train on a shard root."""
        config = folder / "gan.yaml"
        config.write_text(CONFIG)
        return GANRuns(config, root)
