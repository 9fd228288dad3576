"""What `wild3d sample` asks of a prior beyond classes and seeds, as far as that prior takes it."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.tools.numpy_files import ONLY, load_arrays
from lightning_modules.tools.sample_grid import Grid
from models.priors.conditions import ConditionKinds
from models.priors.mask_schedules import MaskSchedule
from models.priors.masked import MaskedPrior
from models.priors.token_prior import TokenPrior


def set_decoding(
    prior: TokenPrior,
    checkpoint: str,
    steps: int | None,
    choice_temperature: float | None,
    schedule: MaskSchedule | None,
) -> None:
    """Change how a masked prior fills in tokens; what is None stays.

    Raises:
        DataError: the prior is another one, or a value is out of range.
    """
    given = {"steps": steps, "choice_temperature": choice_temperature, "schedule": schedule}
    changed = {name: value for name, value in given.items() if value is not None}
    if not changed:
        return
    if not isinstance(prior, MaskedPrior):
        raise DataError(
            f"{checkpoint} is an autoregressive prior: --{', --'.join(changed)} is for masked ones "
            "only."
        )
    try:
        prior.decoding = replace(prior.decoding, **changed)  # type: ignore[arg-type]
    except ValueError as error:
        raise DataError(f"{error}") from error


def check_conditions(grid: Grid, kinds: ConditionKinds, checkpoint: str) -> None:
    """DataError for conditions that a prior does not take."""
    for option, what, given, taken in (
        ("size_condition", "sizes", grid.size, kinds.size),
        ("time_of_day", "times", grid.time_of_day, kinds.time_of_day),
        ("semantics", "semantics", grid.semantics, kinds.semantics),
    ):
        if given is not None and not taken:
            raise DataError(f"{checkpoint} was trained without {what}: leave --{option} out.")
    if grid.size is not None and min(grid.size) <= 0:
        raise DataError(f"size_condition is {grid.size}, all three must be above 0.")
    if grid.semantics is not None and len(grid.semantics) != kinds.semantics:
        raise DataError(
            f"The vector in --semantics has {len(grid.semantics)} numbers, {checkpoint} takes "
            f"{kinds.semantics}: give features of the network it was trained with."
        )


def read_vector(path: str, option: str) -> Tensor:
    """A feature vector (F,) float32 in an .npy file.

    Raises:
        FileNotFoundError: there is no such file; `option` is where it was named.
        DataError: it holds something else, or numbers that float32 has none for.
    """
    found = load_arrays(path, option).get(ONLY)
    if found is None or found.ndim != 1 or found.dtype.kind not in "fiu":
        kind = "several arrays" if found is None else f"{found.dtype} of shape {found.shape}"
        raise DataError(f"{path} holds {kind}: save one vector (F,) of numbers for {option}.")
    vector = torch.from_numpy(found.astype(np.float64)).float()
    if not vector.isfinite().all():
        raise DataError(f"{path} holds numbers that are not finite: mend the vector of {option}.")
    return vector
