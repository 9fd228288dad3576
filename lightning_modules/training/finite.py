"""Steps that are not finite: stopped on the device, and told when the host asks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

MOST_NOTES = 10_000
"""Steps of optimisers noted until they are looked at: a device keeps half a kilobyte of each."""

LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class Note:
    """What one step of an optimiser was made of, on its device.

    images: seen before it; name: of the loss; values: (2 + N,) float32, the gradient norm, the loss
    and its N terms; weights: of the terms by name, in their order.
    """

    images: int
    name: str
    values: Tensor
    weights: dict[str, float]

    def said(self) -> str:
        """What is not finite in it, and what to do."""
        norm, loss, *terms = self.values.tolist()
        step = f"in the step after {self.images} images"
        broken = [
            f"{name} = {term}, weight {weight:g}"
            for (name, weight), term in zip(self.weights.items(), terms, strict=True)
            if not abs(weight * term) <= LARGEST or not math.isfinite(term)
        ]
        if broken:
            return (
                f"The loss is {loss} {step} ({', '.join(broken)}): lower the learning rate or the "
                "weight of that term."
            )
        return (
            f"The gradient norm of the {self.name} loss is {norm} {step}, at a loss of {loss}: "
            "lower the learning rate."
        )


@dataclass
class FiniteGuard:
    """Notes all steps, and stops a training on its device from the first one that is not finite.

    The host goes on and does not wait: no optimiser moves anything any more, so weights and moments
    stay as they were before that step until `first_broken` is asked for it.

    found: () float32, 1 from that step on, as `found_inf` of fused optimisers; None before any.
    """

    found: Tensor | None = None
    notes: list[Note] = field(default_factory=list)

    def note(
        self,
        images: int,
        name: str,
        norm: Tensor,
        loss: Tensor,
        terms: Mapping[str, Tensor],
        weights: Mapping[str, float],
    ) -> Tensor:
        """Take in a step whose gradients have this norm; returns `found`, which its optimiser must
        heed. `norm` must be the same in all processes, see `finite_only`."""
        values = torch.stack([value.detach().float() for value in (norm, loss, *terms.values())])
        self.notes.append(Note(images, name, values, {term: weights[term] for term in terms}))
        broken = (~values[0].isfinite()).float()
        self.found = broken if self.found is None else torch.maximum(self.found, broken)
        return self.found

    def first_broken(self) -> Note | None:
        """The first step that was not finite of those noted since this was asked last: the one read
        of the host."""
        notes, self.notes = self.notes, []
        if not notes or self.found is None or not self.found:
            return None
        return next(note for note in notes if not note.values[0].isfinite())


def finite_only(loss: Tensor) -> Tensor:
    """The gradient () to begin with of a loss (): 1, or NaN if the loss is not finite.

    So the gradients of such a step are not finite either, and where they are averaged, those of all
    processes.
    """
    return torch.where(loss.detach().isfinite(), 1.0, torch.nan).to(loss.dtype)
