"""How a user wants tokens drawn; what is not said is as in the prior's training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from datamodules.errors import DataError
from models.priors.sampling import TokenSampling

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class SamplingOptions:
    """What a user says about drawing tokens, None where nothing.

    precision: float32 where it is not said; see `TokenSampling` for the others.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    guidance: float | None = None
    precision: Precision | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Value of each option that was said."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def dtype(self) -> torch.dtype:
        """Of drawing tokens: float32 or bfloat16."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def sampling(self, trained: TokenSampling) -> TokenSampling:
        """A checkpoint's sampling with what was said instead.

        Raises:
            DataError: a value is outside its range.
        """
        changed = {name: value for name, value in self.given.items() if name != "precision"}
        try:
            return replace(trained, **changed)
        except ValueError as error:
            raise DataError(f"{error}") from error


def check_unused(options: Mapping[str, Any], why: str) -> None:
    """DataError that says why options, value by name, would do nothing, if any is not None."""
    given = [f"--{name} is {value}" for name, value in options.items() if value is not None]
    if given:
        them = "it" if len(given) == 1 else "them"
        raise DataError(f"{' and '.join(given)}, but {why}: leave {them} out.")
