"""Checks of stage 2: each thing that does not fit together is refused in a sentence."""

from typing import Any

from datamodules.errors import DataError
from datamodules.stream_datamodule import StreamDataModule
from models.autoencoder import TokenAutoencoder
from models.priors.conditions import ConditionDropout, ConditionKinds
from models.priors.sampling import TokenSampling
from models.priors.token_prior import TokenPrior


def check_guidance(sampling: TokenSampling, dropout: ConditionDropout) -> None:
    """Refuse guidance by a prior that never sees a sample without conditions.

    Raises:
        ValueError: one sentence with the value, the limit and the knob.
    """
    if sampling.guided and dropout.everything == 0:
        raise ValueError(
            f"sampling.guidance is {sampling.guidance} and dropout.everything 0: guidance compares "
            "with samples without conditions, let the prior learn some with `dropout.everything`."
        )


def check_kinds(kinds: ConditionKinds, datamodule: StreamDataModule[Any]) -> None:
    """Refuse conditions that the data have not.

    Raises:
        DataError: one sentence with the value, the limit and the knob.
    """
    classes = len(datamodule.manifest.classes)
    if kinds.classes not in (0, classes):
        right = f"{classes}, or to 0 to ignore them" if classes else "0"
        raise DataError(
            f"The prior takes {kinds.classes} classes, the data have {classes}: set "
            f"`prior.kinds.classes` to {right}."
        )
    if kinds.semantics not in (0, datamodule.semantics):
        raise DataError(
            f"The prior takes semantic vectors of width {kinds.semantics}, the data give "
            f"{datamodule.semantics}: change `prior.kinds.semantics` or `data.semantics`."
        )


def check_prior(prior: TokenPrior, autoencoder: TokenAutoencoder, checkpoint: str) -> None:
    """Refuse a prior over other tokens than a stage-1 model's.

    Raises:
        DataError: one sentence with the value, the limit and the knob.
    """
    if prior.codes != autoencoder.codes:
        raise DataError(
            f"The prior has {prior.codes} codes, the stage-1 model in {checkpoint} "
            f"{autoencoder.codes}: change `prior.codes`."
        )
    if prior.layout != autoencoder.layout:
        raise DataError(
            f"The prior's tokens lie on {prior.layout}, those of the stage-1 model in "
            f"{checkpoint} on {autoencoder.layout}: change `prior.layout`."
        )
