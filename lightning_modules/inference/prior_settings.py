"""Settings of a prior beyond classes and seeds, as far as that prior takes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.files import ONLY, load_arrays
from datamodules.modalities import TIMES_OF_DAY, TimeOfDay
from lightning_modules.inference.sampling_options import SamplingOptions
from models.priors.conditions import ConditionKinds, Conditions
from models.priors.masked import MaskedDecoding, MaskedPrior
from models.priors.token_prior import TokenPrior


@dataclass(frozen=True)
class SharedConditions:
    """Conditions of all scenes beside their class, None where there is none.

    size: length, width and height of the object's box; semantics: a feature vector (F,) float32 on
    the CPU.
    """

    size: tuple[float, float, float] | None = None
    time_of_day: TimeOfDay | None = None
    semantics: Tensor | None = None

    def of(self, labels: Sequence[int], device: torch.device | str) -> Conditions:
        """Conditions of scenes of these labels (B), -1 any class."""
        label, time, count = torch.tensor(labels, device=device), self.time_of_day, len(labels)
        size = None if self.size is None else torch.tensor([self.size] * count, device=device)
        hour = None if time is None else torch.full_like(label, TIMES_OF_DAY.index(time))
        vector = None if self.semantics is None else self.semantics.to(device).repeat(count, 1)
        return Conditions.of(label, size, hour, vector)

    @property
    def unset(self) -> bool:
        """True if nothing is given."""
        return self.size is None and self.time_of_day is None and self.semantics is None


@dataclass(frozen=True)
class EachConditions:
    """Conditions of B scenes beside their class, each of its own, None where the prior takes none.

    size: (B, 3) length, width and height of the objects' boxes, NaN unknown; time_of_day: (B,)
    index, -1 unknown.
    """

    size: Tensor | None
    time_of_day: Tensor | None

    def of(self, labels: Sequence[int], device: torch.device | str) -> Conditions:
        """Conditions of the scenes, whose labels are (B), -1 any class."""
        label = torch.tensor(labels, device=device)
        size, time = (
            None if part is None else part.to(device) for part in (self.size, self.time_of_day)
        )
        return Conditions.of(label, size, time)

    @property
    def unset(self) -> bool:
        """True if nothing is given."""
        return self.size is None and self.time_of_day is None


def set_decoding(prior: TokenPrior, checkpoint: str, options: SamplingOptions) -> None:
    """Change how a masked prior fills in tokens; what is not said stays.

    Raises:
        DataError: the prior is another one, or a value is out of range.
    """
    given = options.given_of(MaskedDecoding)
    if isinstance(prior, MaskedPrior):
        prior.decoding = options.changed(prior.decoding)
    elif given:
        raise DataError(
            f"{checkpoint} is an autoregressive prior: --{', --'.join(given)} is for masked ones "
            "only."
        )


def shared_conditions(
    options: SamplingOptions, kinds: ConditionKinds, checkpoint: str
) -> SharedConditions:
    """The conditions a user gives.

    Raises:
        FileNotFoundError, DataError: the prior does not take them, or they are not what they are
            to be.
    """
    for option, what, taken in (
        ("size_condition", "sizes", kinds.size),
        ("time_of_day", "times", kinds.time_of_day),
        ("semantics", "semantics", kinds.semantics),
    ):
        if option in options.given and not taken:
            raise DataError(f"{checkpoint} was trained without {what}: leave --{option} out.")
    if options.size_condition is not None and min(options.size_condition) <= 0:
        raise DataError(f"size_condition is {options.size_condition}, all three must be above 0.")
    path = options.semantics
    vector = None if path is None else read_vector(path, "--semantics")
    if vector is not None and len(vector) != kinds.semantics:
        raise DataError(
            f"The vector in --semantics has {len(vector)} numbers, {checkpoint} takes "
            f"{kinds.semantics}: give features of the network it was trained with."
        )
    return SharedConditions(options.size_condition, options.time_of_day, vector)


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
