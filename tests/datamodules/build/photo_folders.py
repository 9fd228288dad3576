"""Folders of photographs with masks and depth, and what becomes of them in shards."""

import zlib
from pathlib import Path

import numpy as np

from datamodules.build.encode import encode_depth, encode_jpeg, encode_mask, encode_png
from datamodules.build.shards import shards
from datamodules.shard_datamodule import ShardDataModule

CLASSES = ("cat", "dog")
PER_CLASS = 5


def photograph(number: int) -> bytes:
    return encode_jpeg(np.full((12, 16, 3), number, np.uint8))


def bomb() -> bytes:
    """An image of a claimed size that Pillow refuses to decode."""
    content = bytearray(encode_png(np.zeros((1, 1, 3), np.uint8)))
    content[16:24] = (100_000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


def write_photos(tmp_path: Path) -> Path:
    """cat/0.jpg ... dog/4.jpg with masks and depth beside them; the grey tells class and number."""
    for label, name in enumerate(CLASSES):
        for folder in ("images", "masks", "depth"):
            (tmp_path / folder / name).mkdir(parents=True)
        for n in range(PER_CLASS):
            value = 40 * label + 8 * n
            (tmp_path / f"images/{name}/{n}.jpg").write_bytes(photograph(value))
            mask = encode_mask(np.full((12, 16), n % 3, np.uint8))
            (tmp_path / f"masks/{name}/{n}.png").write_bytes(mask)
            depth = encode_depth(np.full((12, 16), 1000 + n, np.uint16))
            (tmp_path / f"depth/{name}/{n}.png").write_bytes(depth)
    return tmp_path


def write(photos: Path, out: str = "out", **settings):
    options = {"resolution": 8, "workers": 1, "samples_per_shard": 4, "val_fraction": 0.2}
    return shards(str(photos / "images"), str(photos / out), **{**options, **settings})


def everything(root: Path, **wanted):
    """Batches of both splits of a root."""
    datamodule = ShardDataModule(str(root), 8, 1, num_workers=0, flip=False, lanes=1, **wanted)
    datamodule.setup()
    return [*datamodule.train_dataloader(), *datamodule.val_dataloader()]


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
