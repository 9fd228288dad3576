"""How often and on how much a run trains and validates, which Lightning checks late or not at all:
an interval of 0 ended in a division by it after hours of training."""

from traceback import walk_tb
from typing import Any

from jsonargparse import Namespace

from datamodules.errors import DataError, check_number

MOST_BATCHES = 1_000_000_000_000


def check_fit_settings(trainer: Namespace) -> None:
    """Refuse validations that never come, and runs or validations of no batch.

    Without validation there is no `best.ckpt`; who wants few of them makes the interval longer, and
    gets one at the end.

    Raises:
        DataError: one sentence with the value, the limit and the knob.
    """
    epochs, interval = trainer.check_val_every_n_epoch, trainer.val_check_interval
    if epochs is not None:
        check_number("trainer.check_val_every_n_epoch", epochs, 1, MOST_BATCHES)
    if isinstance(interval, int | float) and not _is_share(interval, epochs):
        check_number("trainer.val_check_interval", interval, 1, MOST_BATCHES)
        if isinstance(interval, float):
            raise DataError(
                f"trainer.val_check_interval is {interval}, it must be a whole number of batches, "
                "without a point."
            )
    for name in ("limit_train_batches", "limit_val_batches"):
        _check_batches(f"trainer.{name}", trainer[name])


def was_counting_batches(error: Exception) -> bool:
    """Whether Lightning itself refuses how often a run validates, once it knows the length of an
    epoch: an interval longer than that, where epochs are counted."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return isinstance(error, ValueError) and frame.f_code.co_name == "setup_data"


def _is_share(interval: float, epochs: int | None) -> bool:
    """Whether an interval is a share of an epoch, where epochs are counted."""
    return epochs is not None and isinstance(interval, float) and 0 < interval <= 1


def _check_batches(knob: str, batches: Any) -> None:
    """Refuse a number of batches that is none, and a share that is none."""
    if batches is None or 0 < batches <= 1:
        return
    if not (1 < batches <= MOST_BATCHES and batches == int(batches)):
        raise DataError(
            f"{knob} is {batches}, it must be a number of batches of at least 1, or a share of all "
            "above 0 and at most 1."
        )
