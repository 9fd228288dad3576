from collections import Counter

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.evaluation.label_plan import check_classes, label_plan

LABELS = torch.tensor([0] * 50 + [2] * 30 + [1] * 20)


@pytest.mark.parametrize("count", [1, 7, 10, 100, 333])
def test_counts_are_within_one_of_the_proportions(count: int) -> None:
    plan = label_plan(LABELS, count, 3)
    assert len(plan) == count
    found = Counter(plan)
    for label, share in ((0, 0.5), (1, 0.2), (2, 0.3)):
        assert abs(found[label] - share * count) < 1


def test_every_stretch_of_the_plan_has_the_proportions() -> None:
    plan = label_plan(LABELS, 200, 3)
    for start in range(0, 200, 50):
        found = Counter(plan[start : start + 50])
        assert all(abs(found[n] - 50 * share) <= 1 for n, share in ((0, 0.5), (1, 0.2), (2, 0.3)))


def test_unlabelled_images_are_drawn_of_any_class() -> None:
    assert Counter(label_plan(torch.tensor([-1, 0]), 10, 1)) == {-1: 5, 0: 5}


def test_a_generator_without_classes_draws_any() -> None:
    assert label_plan(LABELS, 3, 0) == [-1, -1, -1]


def test_other_classes_than_the_datas_are_refused() -> None:
    check_classes("g.ckpt", 0, 12)
    check_classes("g.ckpt", 12, 12)
    with pytest.raises(DataError, match=r"g\.ckpt draws 3 classes, the data have 12"):
        check_classes("g.ckpt", 3, 12)
