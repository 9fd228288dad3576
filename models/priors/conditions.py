"""Conditions of a sample, and the prefix tokens by which a prior sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.limits import MOST_CLASSES, WIDTHS
from renderers.ranges import check_number

TIMES = 3
"""Times of day: day, dawn or dusk, night."""


@dataclass(frozen=True)
class ConditionKinds:
    """Conditions that a prior takes: each but the class adds a prefix token.

    classes: number of classes, 0 for none; size: length, width and height of the object's box;
    time_of_day: one of three; semantics: width of a semantic feature vector, 0 for none.
    """

    classes: int = 0
    size: bool = False
    time_of_day: bool = False
    semantics: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a number outside its range."""
        check_number("classes", self.classes, 0, MOST_CLASSES)
        check_number("semantics", self.semantics, 0, WIDTHS[1])

    @property
    def tokens(self) -> int:
        """Prefix tokens N; the class's is always there, as the start of the sequence."""
        return 1 + self.size + self.time_of_day + (self.semantics > 0)


@dataclass(frozen=True)
class Conditions:
    """Conditions of B samples; any of them may be unknown in any sample.

    label        (B,)    int64    -1 unknown
    size         (B, 3)  float32  box length, width, height > 0; NaN unknown
    time_of_day  (B,)    int64    -1 unknown
    semantics    (B, F)  float32  NaN unknown; F = 0 where there is none
    """

    label: Tensor
    size: Tensor
    time_of_day: Tensor
    semantics: Tensor

    @staticmethod
    def of(
        label: Tensor,
        size: Tensor | None = None,
        time_of_day: Tensor | None = None,
        semantics: Tensor | None = None,
    ) -> Conditions:
        """Conditions with labels (B,), -1 unknown, and all else unknown where it is not given."""
        count = len(label)
        return Conditions(
            label,
            label.new_full((count, 3), torch.nan, dtype=torch.float32) if size is None else size,
            torch.full_like(label, -1) if time_of_day is None else time_of_day,
            label.new_empty((count, 0), dtype=torch.float32) if semantics is None else semantics,
        )

    def __len__(self) -> int:
        """Number of samples B."""
        return len(self.label)

    def map(self, transform: Callable[[Tensor], Tensor]) -> Conditions:
        """Apply one function to every tensor."""
        return Conditions(
            transform(self.label),
            transform(self.size),
            transform(self.time_of_day),
            transform(self.semantics),
        )

    def known(self) -> Tensor:
        """Mask (B, 4) bool of those that are known, columns in the order of the fields.

        >>> Conditions.of(torch.tensor([3, -1]), time_of_day=torch.tensor([0, 1])).known()
        tensor([[ True, False,  True, False],
                [False, False,  True, False]])
        """
        semantics = self.semantics.isfinite().all(1) & (self.semantics.shape[1] > 0)
        return torch.stack(
            [self.label >= 0, self.size.isfinite().all(1), self.time_of_day >= 0, semantics], 1
        )

    def dropped(self, which: Tensor | None = None) -> Conditions:
        """Drop those of a mask (B, 4) bool, columns in the order of the fields, or all: they become
        unknown.

        >>> Conditions.of(torch.tensor([3, 5])).dropped().label
        tensor([-1, -1])
        """
        if which is None:
            which = torch.ones(len(self), 4, dtype=torch.bool, device=self.label.device)
        label, size, time, semantics = which.unbind(1)
        return Conditions(
            self.label.masked_fill(label, -1),
            self.size.masked_fill(size[:, None], torch.nan),
            self.time_of_day.masked_fill(time, -1),
            self.semantics.masked_fill(semantics[:, None], torch.nan),
        )


@dataclass(frozen=True)
class ConditionDropout:
    """Rates at which training drops conditions: all of a sample's, for guidance, and each alone,
    so that any subset can condition a sample."""

    everything: float = 0.1
    each: float = 0.1

    def __post_init__(self) -> None:
        """Raise ValueError for a rate outside 0 to 1."""
        check_number("everything", self.everything, 0, 1)
        check_number("each", self.each, 0, 1)

    def apply(self, conditions: Conditions, rng: torch.Generator) -> Conditions:
        """Drop conditions at random."""
        uniform = torch.rand(len(conditions), 5, generator=rng, device=rng.device)
        which = (uniform[:, :4] < self.each) | (uniform[:, 4:] < self.everything)
        return conditions.dropped(which.to(conditions.label.device))


class ConditionTokens(nn.Module):
    """Prefix tokens of conditions, (B) -> (B, N, D); an unknown one has an embedding of its own.

    Raises ValueError, at the call, for semantic vectors of another width than `kinds` has.
    """

    def __init__(self, kinds: ConditionKinds, width: int) -> None:
        super().__init__()
        self.kinds = kinds
        self.label = nn.Embedding(kinds.classes + 1, width)  # the first row: unknown
        if kinds.size:
            self.size = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
            self.size_open = nn.Parameter(torch.zeros(width))
        if kinds.time_of_day:
            self.time_of_day = nn.Embedding(TIMES + 1, width)
        if kinds.semantics:
            self.semantics = nn.Linear(kinds.semantics, width)
            self.semantics_open = nn.Parameter(torch.zeros(width))

    def forward(self, conditions: Conditions) -> Tensor:
        """Embed the conditions that the prior takes; others are ignored."""
        label = conditions.label if self.kinds.classes else conditions.label.clamp(max=-1)
        tokens = [self._choice(self.label, label)]
        if self.kinds.size:
            known = ~conditions.size.isnan().any(1, keepdim=True)
            embedded = self.size(conditions.size.where(known, 1.0).log())
            tokens.append(torch.where(known, embedded, self.size_open.to(embedded.dtype)))
        if self.kinds.time_of_day:
            tokens.append(self._choice(self.time_of_day, conditions.time_of_day))
        if self.kinds.semantics:
            tokens.append(self._semantics(conditions.semantics))
        return torch.stack(tokens, 1)

    def _choice(self, table: nn.Embedding, index: Tensor) -> Tensor:
        return table(index + 1)

    def _semantics(self, vectors: Tensor) -> Tensor:
        if vectors.shape[1] not in (0, self.kinds.semantics):
            raise ValueError(
                f"Semantic vectors have width {vectors.shape[1]}, the prior takes "
                f"{self.kinds.semantics}: change `semantics` of the prior's kinds or of the data."
            )
        if vectors.shape[1] == 0:
            vectors = vectors.new_full((len(vectors), self.kinds.semantics), torch.nan)
        known = ~vectors.isnan().any(1, keepdim=True)
        unit = F.normalize(vectors.where(known, 0.0), dim=1) * self.kinds.semantics**0.5
        embedded = self.semantics(unit)
        return torch.where(known, embedded, self.semantics_open.to(embedded.dtype))
