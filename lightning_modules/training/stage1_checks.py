"""Checks of stage 1: each setting that does not fit another is refused in a sentence."""

from lightning_modules.losses.weights import Stage1Weights
from lightning_modules.stage1_rays import RayPlan


def check_settings(resolution: int, weights: Stage1Weights, rays: RayPlan) -> None:
    """Refuse settings that can't work together.

    Raises:
        ValueError: one sentence with the value, the limit and the knob.
    """
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
