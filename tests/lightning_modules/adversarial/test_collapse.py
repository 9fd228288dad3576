from dataclasses import asdict

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.adversarial.collapse import (
    CollapseIndicator,
    CollapseWatch,
    diversity,
    relative_diversity,
)

WATCH = CollapseWatch(every_images=100, low=0.5, patience=2)


def test_diversity_is_the_deviation_within_classes() -> None:
    labels = torch.tensor([0, 1]).repeat(5000)
    values = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    values += 100.0 * labels[:, None]  # what lies between classes does not count
    assert diversity(values, labels, 2).item() == pytest.approx(0.2, rel=0.02)


def test_scenes_that_are_alike_have_none() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    values = torch.tensor([[1.0], [1.0], [3.0], [3.0]])
    assert diversity(values, labels, 2) == 0


def test_relative_diversity_does_not_depend_on_scale() -> None:
    labels, values = torch.zeros(20, dtype=torch.long), torch.rand(20, 4)
    torch.testing.assert_close(
        relative_diversity(7 * values, labels, 1), relative_diversity(values, labels, 1)
    )


def test_the_indicator_falls_after_low_looks_in_a_row() -> None:
    indicator = CollapseIndicator()
    looks = [(0.1, 0.3), (0.4, 0.4), (0.1, 0.4), (0.3, 0.4), (0.3, 0.1), (0.3, 0.1)]
    fell = []
    for index, (colors, features) in enumerate(looks):
        shares = indicator.update({"colors": colors, "features": features}, 100 * index, WATCH)
        fell.append(indicator.collapsing(WATCH))
    assert shares == {"colors": pytest.approx(0.75), "features": pytest.approx(0.25)}
    assert fell == [False] * 5 + [True]


def test_it_looks_every_so_many_images() -> None:
    indicator = CollapseIndicator(looked_at=200)
    assert not indicator.due(299, WATCH)
    assert indicator.due(300, WATCH)


@pytest.mark.parametrize("never", [{"every_images": 0}, {"patience": 0}])
def test_an_interval_or_a_patience_of_nothing_is_refused(never: dict[str, int]) -> None:
    with pytest.raises(DataError, match=f"{next(iter(never))} is 0, it must be from 1"):
        CollapseWatch(**never)


def test_an_indicator_is_restored_and_what_is_none_refused() -> None:
    saved = asdict(CollapseIndicator({"depth": 0.5}, lows=1, looked_at=40))
    assert asdict(CollapseIndicator.restored(saved)) == saved
    for wrong in ({"peaks": {"depth": "x"}}, {"peaks": {3: 0.5}}, {"lows": 0.5}, {"looked_at": ""}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}"):
            CollapseIndicator.restored(saved | wrong)
