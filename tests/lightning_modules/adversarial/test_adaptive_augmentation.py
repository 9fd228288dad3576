from itertools import pairwise

import pytest
import torch

from datamodules.errors import DataError
from lightning_modules.adversarial.adaptive_augmentation import (
    AdaptiveAugmentation,
    ChangeProbability,
)

BY_HEART, UNSURE = torch.tensor(1.0), torch.tensor(0.1)


def regulated(target: float | None = 0.6) -> ChangeProbability:
    return ChangeProbability(AdaptiveAugmentation(("color",), target, images=1_000))


def test_the_probability_rises_while_photographs_are_known_by_heart_and_falls_after() -> None:
    changed, values = regulated(), []
    for sign in [BY_HEART] * 40 + [UNSURE] * 40:
        changed.update(sign, 50)
        values.append(float(changed.probability))
    assert values[0] == 0
    assert max(values) == pytest.approx(1.0)
    assert values[39] == pytest.approx(1.0)
    assert values[-1] == pytest.approx(0.0, abs=1e-6)
    assert all(abs(b - a) <= 0.0501 for a, b in pairwise(values))


def test_single_steps_of_noise_do_not_move_it() -> None:
    changed = regulated(target=0.6)
    for sign in [-1.0, 1.0] * 50:
        changed.update(torch.tensor(sign), 50)
    assert changed.probability == 0


def test_without_a_target_all_images_are_changed_for_ever() -> None:
    changed = regulated(target=None)
    assert changed.probability == 1
    assert not changed.regulated
    changed.update(UNSURE, 10_000)
    assert changed.probability == 1


def test_a_target_can_be_dropped_when_a_run_is_continued() -> None:
    changed = regulated(target=None)
    changed.load_state_dict(regulated().state_dict())
    assert changed.probability == 1


def test_without_changes_nothing_is_regulated() -> None:
    assert not ChangeProbability(AdaptiveAugmentation()).regulated
    assert regulated().regulated


def test_it_is_saved() -> None:
    changed = regulated()
    changed.update(BY_HEART, 2_000)
    again = regulated()
    again.load_state_dict(changed.state_dict())
    assert again.probability == changed.probability == 1
    assert again.sign == changed.sign


@pytest.mark.parametrize("target", [-1.0, 1.0, 1.5])
def test_a_target_no_sign_can_pass_is_refused(target: float) -> None:
    with pytest.raises(DataError, match="a mean of signs"):
        AdaptiveAugmentation(target=target)


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="images is 0, it must be from 1"):
        AdaptiveAugmentation(images=0)
