"""Users name classes by name or number."""

import pytest

from datamodules.classes import class_labels, class_name, file_name, spread_labels
from datamodules.errors import DataError

NAMES = ("chair", "mug", "oak tree", "7")


def test_classes_are_found_by_name_and_number_and_each_once() -> None:
    assert class_labels(["mug", "0", "oak tree", "mug"], 4, NAMES) == [1, 0, 2]
    assert class_labels(["2", "all"], 4, NAMES) == [2, 0, 1, 3]
    assert class_labels(["7"], 9, NAMES) == [3]  # a name comes before a number
    assert class_labels(["8"], 9, NAMES) == [8]
    assert class_labels(["mug", "any", "any"], 4, NAMES) == [1, -1]
    assert class_labels(["any"], 2, ("one", "any")) == [1]
    assert class_labels(["any", "all"], 0, ()) == [-1]
    with pytest.raises(
        DataError, match=r"no class 'chiar': .* from 0 to 3\. Did you mean 'chair'\?"
    ):
        class_labels(["chiar"], 4, NAMES)
    with pytest.raises(DataError, match="--classes is empty: name at least one, or all"):
        class_labels([], 4, NAMES)
    with pytest.raises(DataError, match="no class '4': name one, or any, or give a number"):
        class_labels(["4"], 4, NAMES)


def test_files_of_different_classes_have_different_names() -> None:
    assert file_name(2, NAMES) == "oak-tree"
    assert file_name(5, NAMES) == class_name(5, NAMES) == "5"
    assert class_name(-1, NAMES) == "any"
    alike = ("a b", "a/b", "A b", "!")
    found = [file_name(label, alike) for label in range(4)]
    assert found == ["0-a-b", "1-a-b", "2-A-b", "3-"]


def test_names_and_numbers_of_any_length_are_taken() -> None:
    with pytest.raises(DataError, match=r"no class '1{59}[.]{3}: name one, or any") as caught:
        class_labels(["1" * 5000], 4, NAMES)
    assert len(str(caught.value)) < 300
    long = ("x" * 300, "x" * 299 + "y", "ä" * 300)
    found = [file_name(label, long) for label in range(3)]
    assert len(set(found)) == 3
    assert max(len(part.encode()) for part in found) <= 152


def test_labels_of_a_sheet_are_spread_over_the_classes() -> None:
    assert spread_labels(12, 4) == [0, 3, 6, 9]
    assert spread_labels(3, 8) == [0, 1, 2]
    assert spread_labels(0, 3) == [-1, -1, -1]
