"""Names, file extensions and pixel codes of everything a shard can hold."""

from typing import Final, Literal, get_args

import numpy as np

RGB: Final = "rgb"
DEPTH: Final = "depth"
MASK: Final = "mask"
RAYS: Final = "rays"
TOKENS: Final = "tokens"
MODALITIES: Final = (RGB, DEPTH, MASK, RAYS, TOKENS)
SIDECARS: Final = (DEPTH, MASK, RAYS)

TRAIN: Final = "train"
VAL: Final = "val"
SPLITS: Final = (TRAIN, VAL)

IMAGE_EXTENSIONS: Final = ("jpg", "png", "webp")
SIDECAR_EXTENSION: Final = {DEPTH: "depth.png", MASK: "mask.png", RAYS: "rays.npz"}
TOKENS_EXTENSION: Final = "tokens.npy"

UNLABELLED: Final = -1

DISPARITY_UNKNOWN: Final = 0
DISPARITY_MAX: Final = 65535

MASK_BACKGROUND: Final = 0
MASK_OBJECT: Final = 1
MASK_OCCLUDER: Final = 2
MASK_UNKNOWN: Final = 255
MASK_CODES: Final = (MASK_BACKGROUND, MASK_OBJECT, MASK_OCCLUDER, MASK_UNKNOWN)

TimeOfDay = Literal["day", "dawn_dusk", "night"]
TIMES_OF_DAY: Final[tuple[TimeOfDay, ...]] = get_args(TimeOfDay)
TIME_UNKNOWN: Final = -1


def shard_file(modality: str, shard: str) -> str:
    """File name of one modality of a shard: ``("depth", "000003")`` gives ``depth-000003.tar``."""
    return f"{modality}-{shard}.tar"


def visible_share(codes: np.ndarray) -> float:
    """Share of object pixels among those of the object and of occluders, 0 without object."""
    shown = int(np.count_nonzero(codes == MASK_OBJECT))
    hidden = int(np.count_nonzero(codes == MASK_OCCLUDER))
    return shown / max(shown + hidden, 1)
