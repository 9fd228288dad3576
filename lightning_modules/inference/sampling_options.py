"""Options of drawing scenes; what is not said is as the checkpoint's system does it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, TypeVar

import torch

from datamodules.errors import DataError
from datamodules.modalities import TimeOfDay
from datamodules.ranges import Range
from lightning_modules.inference.computing import Precision
from lightning_modules.inference.limits import Positive, Truncation
from models.priors.mask_schedules import MaskSchedule
from models.priors.masked import MaskedDecoding
from models.priors.sampling import TokenSampling

Settings = TypeVar("Settings", TokenSampling, MaskedDecoding)


@dataclass(frozen=True)
class SamplingOptions:
    """Options of a prior or a GAN that draws scenes.

    Args:
        truncation: of a GAN: moves latents towards the mean of their class, 1, the default, leaves
            them and 0 gives the mean. All that follows is of priors.
        temperature: divides the logits of the tokens; 0 takes the most probable. This and the next
            three are by default those of the prior's training, stored in its checkpoint.
        top_k: draw from the k most probable tokens only; 0 for all.
        top_p: draw from the fewest tokens that hold this share of the probability.
        guidance: above 1 makes scenes more typical of their class and other conditions, at twice
            the cost.
        steps: rounds in which a masked prior fills in tokens. This and the next two are by default
            those of the checkpoint.
        choice_temperature: randomness of which tokens a masked prior keeps.
        schedule: how many tokens a masked prior leaves masked after each round.
        size_condition: length, width and height of the object, e.g. 4.5 1.8 1.5, where the prior
            was trained with sizes.
        time_of_day: likewise.
        semantics: .npy file of a feature vector (F,), where the prior was trained with some.
        precision: of drawing tokens, float32 by default; bf16 is used for products only where the
            hardware has it.
    """

    truncation: Truncation | None = None
    temperature: Annotated[float, Range(0, 1000)] | None = None
    top_k: Annotated[int, Range(0, 2**31 - 1)] | None = None
    top_p: Annotated[float, Range(0.001, 1)] | None = None
    guidance: Annotated[float, Range(0, 1000)] | None = None
    steps: Annotated[int, Range(1, 100_000)] | None = None
    choice_temperature: Annotated[float, Range(0, 1000)] | None = None
    schedule: MaskSchedule | None = None
    size_condition: tuple[Positive, Positive, Positive] | None = None
    time_of_day: TimeOfDay | None = None
    semantics: str | None = None
    precision: Precision | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Value of each option that was said."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def dtype(self) -> torch.dtype:
        """Of drawing tokens: float32 or bfloat16."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def given_of(self, settings: type[TokenSampling | MaskedDecoding]) -> dict[str, Any]:
        """Of the options that were said those that are fields of settings."""
        names = {field.name for field in fields(settings)}
        return {name: value for name, value in self.given.items() if name in names}

    def changed(self, stored: Settings) -> Settings:
        """A checkpoint's settings with what was said instead.

        Raises:
            DataError: a value is outside its range.
        """
        try:
            return replace(stored, **self.given_of(type(stored)))
        except ValueError as error:
            raise DataError(f"{error}") from error


def check_unused(options: Mapping[str, Any], why: str) -> None:
    """DataError that says why options, value by name, would do nothing, if any is not None."""
    given = [f"--{name} is {_typed(value)}" for name, value in options.items() if value is not None]
    if given:
        them = "it" if len(given) == 1 else "them"
        raise DataError(f"{' and '.join(given)}, but {why}: leave {them} out.")


def _typed(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, tuple | list):
        return " ".join(map(str, value)) or "empty"
    return str(value)
