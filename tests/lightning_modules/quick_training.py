"""Training of a module by one batch, without the command."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader


class Logs(Callback):
    """Keeps what each step returned."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        self.steps.append({name: value.clone() for name, value in outputs.items()})


def quiet_trainer(*callbacks: Callback, accelerator: str = "cpu") -> Trainer:
    """One that writes and shows nothing."""
    return Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )


def train(module: LightningModule, batch: Any, steps: int) -> list[dict[str, Tensor]]:
    """So many steps with the same batch; returns what each returned."""
    logs = Logs()
    quiet_trainer(logs).fit(module, DataLoader([batch] * steps, batch_size=None))
    return logs.steps
