"""Checks of stage 1: settings and data that do not fit together are refused in a sentence."""

from typing import Any

from datamodules.errors import DataError
from datamodules.modalities import DEPTH, MASK
from datamodules.shard_datamodule import ShardDataModule
from datamodules.stream_datamodule import StreamDataModule
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1_rays import RayPlan
from lightning_modules.training.checks import check_images
from models.autoencoder import TokenAutoencoder

_MISSING = {DEPTH: "depth, which is", MASK: "masks, which are"}


def check_settings(autoencoder: TokenAutoencoder, weights: Stage1Weights, rays: RayPlan) -> None:
    """Refuse settings that can't work together.

    Raises:
        ValueError: one sentence with the value, the limit and the knob.
    """
    resolution = autoencoder.resolution
    smallest = {"adversarial": 8, "perceptual": 16}
    for term, limit in smallest.items():
        if weights.ever_used(term) and not limit <= rays.patch <= resolution:
            raise ValueError(
                f"rays.patch is {rays.patch}, the {term} loss needs {limit} to "
                f"{resolution} (the resolution): change it, or set weights.{term} to 0."
            )
    shares = {"adversarial": "patch", "perceptual": "patch", "novel_view": "novel"}
    for term, kind in shares.items():
        if weights.ever_used(term) and getattr(rays, f"{kind}_images") == 0:
            raise ValueError(
                f"rays.{kind}_images is 0, the {term} loss needs at least 1: change it, or set "
                f"weights.{term} to 0."
            )
    if resolution % rays.grid_stride:
        raise ValueError(
            f"rays.grid_stride {rays.grid_stride} does not divide the resolution "
            f"{resolution}: change `rays.grid_stride`."
        )


def check_data(
    autoencoder: TokenAutoencoder,
    weights: Stage1Weights,
    further_hidden: float,
    datamodule: StreamDataModule[Any] | None,
    stage: str,
) -> None:
    """Refuse images that do not fit the autoencoder, and for training such without what a loss
    compares with, or without what hides objects further.

    Args:
        further_hidden: share of the images that are hidden further.
        stage: Lightning's name of the verb, fit or validate.

    Raises:
        DataError: one sentence with the value and the knobs.
    """
    if not isinstance(datamodule, ShardDataModule):
        return
    check_images(autoencoder, datamodule)
    if stage != "fit":
        return
    needs = {"depth": DEPTH, "alpha": MASK}
    for term, modality in needs.items():
        if weights.ever_used(term) and modality not in datamodule.modalities:
            raise DataError(
                f"weights.{term} compares with {_MISSING[modality]} not loaded: set "
                f"`data.{modality}` to true, or `model.weights.{term}` to 0."
            )
    if further_hidden > 0:
        _check_hides(further_hidden, datamodule)


def _check_hides(further_hidden: float, datamodule: ShardDataModule) -> None:
    knob = "or `model.further_hidden` to 0"
    if MASK not in datamodule.modalities:
        raise DataError(
            f"further_hidden is {further_hidden:g}, and masks, which say what is an occluder, are "
            f"not loaded: set `data.mask` to true, {knob}."
        )
    if datamodule.batch_size < 2:
        raise DataError(
            f"further_hidden is {further_hidden:g}, and a process has but one image at a time, "
            f"nothing of another to hide it with: set `data.batch_size` to 2 or more, {knob}."
        )
