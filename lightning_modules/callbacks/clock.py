"""Time a run has trained, over all its launches."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer


class RunClock(Callback):
    """Seconds from the start to the end of training; what a killed launch did not save is lost."""

    def __init__(self) -> None:
        self.before = 0.0
        self.begun: float | None = None

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self.before + (time.monotonic() - self.begun if self.begun is not None else 0.0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start."""
        self.begun = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop."""
        self.before, self.begun = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """The time so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from an earlier launch."""
        self.before = state_dict["seconds"]
