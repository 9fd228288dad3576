"""TensorBoard's file of a run, which is made when training begins."""

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger


class RunCurves(Callback):
    """Give the trainer a TensorBoard logger once it trains: Lightning would open its file before
    anything is checked, in the folder of a run that another process may be training.

    Args:
        continued_at: images seen by the checkpoint that is continued; curves are cut back to it.
    """

    def __init__(self, continued_at: int | None) -> None:
        self.continued_at = continued_at

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open it."""
        after = None if self.continued_at is None else self.continued_at + 1
        logger = TensorBoardLogger(
            trainer.default_root_dir, name="tensorboard", version="", purge_step=after
        )
        trainer.logger = logger
        _ = logger.experiment  # cuts the curves back now, not at the next value
