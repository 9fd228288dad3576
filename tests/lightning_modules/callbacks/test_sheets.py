from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import torch
from tiny_model import SIDE, tiny_model

from datamodules.schema import Batch
from lightning_modules.callbacks.sheets import Sheets
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.pictures.drawing import GAP
from lightning_modules.pictures.stage1_pictures import SHEET_YAWS
from lightning_modules.stage1 import Stage1
from lightning_modules.training.optimization import OptimizerSettings


def validation_batch(with_depth: bool = True) -> Batch:
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(256, (4, 3, SIDE, SIDE), generator=rng).byte()
    depth = torch.randint(1, 60_000, (4, SIDE, SIDE), generator=rng).to(torch.uint16)
    labels = torch.zeros(4, dtype=torch.long)
    return Batch(tuple("abcd"), image, labels, depth if with_depth else None)


class Run:
    """As much of a run as `Sheets` asks for; its weights stay as they are."""

    def __init__(self, folder: Path, sheets: Sheets, batch: Batch | None) -> None:
        weights = Stage1Weights(perceptual=0.0, adversarial=0.0, novel_view=0.0)
        settings = OptimizerSettings(warmup=10)
        self.stage = Stage1(tiny_model(), 1000, weights, optimizer=settings)
        self.sheets, self.folder = sheets, folder / "sheets"
        self.trainer = SimpleNamespace(
            is_global_zero=True,
            val_dataloaders=[] if batch is None else [batch],
            precision_plugin=SimpleNamespace(val_step_context=nullcontext),
            default_root_dir=str(folder),
            loggers=[],
        )

    def train(self, images: int, batch: int = 4) -> None:
        for _ in range(images // batch):
            self.stage.images_seen += batch
            self.sheets.on_train_batch_end(self.trainer, self.stage, None, None, 0)

    def end(self) -> None:
        self.sheets.on_train_end(self.trainer, self.stage)

    def draw(self) -> np.ndarray:
        """The sheet at the end as rows and columns of tiles (row, column, SIDE, SIDE, 3)."""
        self.end()
        pixels = iio.imread(self.folder / f"{self.stage.images_seen:09d}.png")
        rows, columns = (extent // (SIDE + GAP) for extent in pixels.shape[:2])
        tiles = pixels.reshape(rows, SIDE + GAP, columns, SIDE + GAP, 3)
        return tiles.transpose(0, 2, 1, 3, 4)[:, :, :SIDE, :SIDE]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*"))


def test_sheets_follow_at_their_interval_and_at_the_end_named_by_images_seen(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, Sheets(every_images=40, images=1), validation_batch())
    run.train(200)
    along_the_way = [int(name.removesuffix(".png")) for name in run.names()]
    assert len(along_the_way) >= 4
    assert np.diff(along_the_way).tolist() == [40] * (len(along_the_way) - 1)
    run.stage.images_seen = 123_456_789
    run.end()
    assert run.names()[-1] == "123456789.png"
    assert len(run.names()) == len(along_the_way) + 1


def test_runs_that_are_interrupted_more_often_than_drawn_are_drawn(tmp_path: Path) -> None:
    for start in (0, 28, 56, 84):
        run = Run(tmp_path, Sheets(every_images=40, images=1), validation_batch())
        run.stage.images_seen = start
        run.sheets.on_train_start(run.trainer, run.stage)
        run.train(28)
    assert run.names() == ["000000040.png", "000000080.png"]


def test_a_row_is_an_image_of_the_validation_split_beside_its_averaged_reconstruction(
    tmp_path: Path,
) -> None:
    batch = validation_batch()
    run = Run(tmp_path, Sheets(images=3), batch)
    tiles = run.draw()
    assert tiles.shape[:2] == (3, 4 + len(SHEET_YAWS))
    np.testing.assert_array_equal(tiles[:, 0], batch.image[:3].permute(0, 2, 3, 1).numpy())
    averaged = run.stage.ema.reconstruct(batch[:3].float_image())
    rgb = averaged.view(averaged.canonical, SIDE, SIDE).rgb.permute(0, 2, 3, 1)
    np.testing.assert_array_equal(tiles[:, 1], (255 * rgb).round().byte().numpy())
    torch.nn.init.zeros_(run.stage.autoencoder.field.out.weight)  # not the averaged one
    np.testing.assert_array_equal(run.draw(), tiles)


def test_without_depth_there_is_a_column_less(tmp_path: Path) -> None:
    run = Run(tmp_path, Sheets(images=1), validation_batch(with_depth=False))
    assert run.draw().shape[:2] == (1, 3 + len(SHEET_YAWS))


def test_without_a_validation_split_there_are_no_sheets(tmp_path: Path) -> None:
    run = Run(tmp_path, Sheets(every_images=4), None)
    run.train(40)
    run.end()
    assert run.names() == []
