"""A real Trainer, interrupted and resumed, trains the images of one uninterrupted run."""

import threading
from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from tiny_shards import SIDE, reference_keys

from datamodules import stream_datamodule
from datamodules.errors import DataError
from datamodules.shard_datamodule import ShardDataModule
from datamodules.transfer import Mover


class KeyRecorder(LightningModule):
    """Trains one weight, notes the keys it trained on, and counts images as a trainer should."""

    def __init__(self, interrupt_after: int = -1, folder: Path | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.keys: list[str] = []
        self.validated: list[str] = []
        self.interrupt_after = interrupt_after
        self.folder = folder

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch, batch_idx):
        self.keys += batch.keys
        return self.weight * batch.float_image().mean()

    def validation_step(self, batch, batch_idx):
        self.validated += batch.keys

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.trainer.datamodule.images_seen += len(batch.keys) * self.trainer.world_size
        if len(self.keys) == self.interrupt_after * len(batch.keys):
            self.trainer.save_checkpoint(self.folder / "interrupted.ckpt")
            raise InterruptedError


def fit(root, model, workers, checkpoint=None, batch_size=4):
    datamodule = ShardDataModule(str(root), SIDE, batch_size, num_workers=workers, lanes=4)
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, datamodule=datamodule, ckpt_path=checkpoint)
    return model.keys


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("interrupt_after", [1, 4, 5, 7, 12])
def test_interrupted_and_resumed_equals_uninterrupted(root, tmp_path, workers, interrupt_after):
    # 22 images in batches of 4: 5 batches a pass, 15 in all; 5 is the end of a pass.
    first = KeyRecorder(interrupt_after, tmp_path)
    with pytest.raises(InterruptedError):
        fit(root, first, workers)
    second = fit(root, KeyRecorder(), workers, str(tmp_path / "interrupted.ckpt"))
    assert first.keys + second == reference_keys(60)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("interrupt_after", [4, 5])
def test_what_a_thread_had_fetched_ahead_is_trained_after_resuming(
    root, tmp_path, monkeypatch, interrupt_after
):
    monkeypatch.setattr(stream_datamodule, "mover_to", Mover)
    before = threading.enumerate()
    test_interrupted_and_resumed_equals_uninterrupted(root, tmp_path, 2, interrupt_after)
    left = set(threading.enumerate()) - set(before)
    assert "ahead" not in {thread.name for thread in left}


@pytest.mark.filterwarnings("ignore")
def test_another_batch_size_goes_on_at_the_same_image(root, tmp_path):
    first = KeyRecorder(interrupt_after=3, folder=tmp_path)
    with pytest.raises(InterruptedError):
        fit(root, first, 0)
    second = fit(root, KeyRecorder(), 0, str(tmp_path / "interrupted.ckpt"), batch_size=2)
    trained = first.keys + second
    assert trained == reference_keys(len(trained))


@pytest.mark.filterwarnings("ignore")
def test_every_validation_image_is_seen_once_a_pass(root):
    model = KeyRecorder()
    fit(root, model, 0)
    assert model.validated == 3 * [f"k{n}" for n in (100, 101, 102, 103, 110, 111, 112)]


def test_a_checkpoint_of_another_order_is_refused(root):
    trained = ShardDataModule(str(root), SIDE, 4, seed=1)
    trained.setup()
    other = ShardDataModule(str(root), SIDE, 4, seed=2)
    other.setup()
    with pytest.raises(DataError, match=r"trained with {'seed': 1.*this run has {'seed': 2"):
        other.load_state_dict(trained.state_dict())
