"""Labels to draw so that fakes have the classes of real images."""

import torch
from torch import Tensor

from datamodules.errors import DataError


def check_classes(name: str, classes: int, in_data: int) -> None:
    """Refuse a generator of other classes than the data's.

    Raises:
        DataError: one sentence with both numbers.
    """
    if classes not in (0, in_data):
        raise DataError(
            f"{name} draws {classes} classes, the data have {in_data}: name the data it was "
            "trained on in --root."
        )


def label_plan(labels: Tensor, count: int, classes: int) -> list[int]:
    """Labels of `count` images in the proportions of `labels` (N,), rounded by largest remainder.

    Classes are spread evenly over the list, so that its beginning, too, has these proportions. A
    generator without classes, 0, gets -1 throughout.

    >>> label_plan(torch.tensor([0, 0, 0, 1]), 8, 2)
    [0, 0, 1, 0, 0, 0, 1, 0]
    """
    if classes == 0:
        return [-1] * count
    values, images = labels.unique(return_counts=True)
    whole = images * count // len(labels)
    remainders = images * count % len(labels)
    missing = count - int(whole.sum())
    whole[remainders.argsort(descending=True, stable=True)[:missing]] += 1
    planned = torch.repeat_interleave(values, whole)
    place = torch.cat([(torch.arange(int(n)) + 0.5) / n for n in whole])  # in (0, 1), of each class
    spread: list[int] = planned[place.argsort(stable=True)].tolist()
    return spread
