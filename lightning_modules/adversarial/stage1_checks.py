"""Checks of stage 1: settings and data that do not fit together are refused in a sentence."""

from typing import Any

from datamodules.errors import DataError
from datamodules.modalities import DEPTH, MASK, RAYS
from datamodules.shard_datamodule import ShardDataModule
from datamodules.stream_datamodule import StreamDataModule
from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1_rays import RayPlan
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
    datamodule: StreamDataModule[Any] | None,
    stage: str,
) -> None:
    """Refuse images of another size than the autoencoder's, and for training such without the depth
    or the masks that a loss compares with, or without the rays that the autoencoder looks along.

    Args:
        stage: Lightning's name of the verb, fit or validate.

    Raises:
        DataError: one sentence with the value and the knobs.
    """
    if not isinstance(datamodule, ShardDataModule):
        return
    resolution = autoencoder.resolution
    if datamodule.resolution != resolution:
        raise DataError(
            f"The autoencoder takes images of {resolution} pixels, the data are loaded at "
            f"{datamodule.resolution}: make `data.resolution` and `model.autoencoder.resolution` "
            "equal."
        )
    needs = {"depth": DEPTH, "alpha": MASK}
    for term, modality in needs.items():
        if stage == "fit" and weights.ever_used(term) and modality not in datamodule.modalities:
            raise DataError(
                f"weights.{term} compares with {_MISSING[modality]} not loaded: set "
                f"`data.{modality}` to true, or `model.weights.{term}` to 0."
            )
    given, loaded = datamodule.manifest.modalities, datamodule.modalities
    if stage == "fit" and autoencoder.uses_sight and RAYS in given and RAYS not in loaded:
        raise DataError(
            "The data have rays, which the autoencoder looks along, and they are not loaded: set "
            "`data.rays` to true."
        )
