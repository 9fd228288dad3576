import pytest
import torch

from datamodules.errors import DataError
from datamodules.schema import Batch
from lightning_modules.training.checks import check_format, check_labels


def batch(*labels: int) -> Batch:
    images = torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8)
    return Batch(tuple(f"key{n}" for n in range(len(labels))), images, torch.tensor(labels))


def test_a_run_of_another_format_is_refused_and_told_what_can_be_done() -> None:
    check_format({"format": 2}, 2)
    check_format({}, 1)  # the first format had no number
    with pytest.raises(
        DataError, match=r"is of format 1, this version continues format 2: .*--run"
    ):
        check_format({}, 2)


def test_labels_outside_the_classes_are_named_with_the_knob() -> None:
    check_labels(batch(0, 2), range(3), "the prior", "knob")
    check_labels(batch(-1, 2), range(-1, 3), "the prior", "knob")
    check_labels(batch(-1, 9), range(0), "the prior", "knob")  # without classes
    with pytest.raises(DataError, match=r"key1 has label 3, the prior takes 0 to 2: .* `knob`"):
        check_labels(batch(0, 3), range(3), "the prior", "knob")
    with pytest.raises(DataError, match="key0 has label -1"):
        check_labels(batch(-1), range(3), "the generator", "knob")
