import re
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.settings_files import check_settings, read_settings

LAUGHS = "a0: &a0 [x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LAUGHS, r"more than 100,000 values \(those repeated by aliases counted\)"),
        ("a: " + "[" * 100_000, "more than 64 levels"),
        ("a: " + "{b: " * 100 + "1" + "}" * 100, "more than 64 levels"),
        ("- " * 1000 + "1", "more than 64 levels"),
        ("a: 1\nb: {c: 1, c: 2}", r"has 'c' twice \(line 2\): leave one"),
        ("a: 1\na: 2", "has 'a' twice"),
        ("a: 1\nb: {2: 3}", r"has the key '2' \(line 2\), which YAML does not take for a name"),
        ("yes: 1", "has the key 'yes'"),
        ("1.5: 1", "has the key '1.5'"),
        ("~: 1", "has the key '~'"),
        ("[a]: 1", "no YAML"),
        ("a: &a [*a]", "repeats \\*a within itself"),
        ("a: *b", "repeats \\*b"),
        ("a:\n\tb: 1", r"no YAML: found character .* \(line 2, column 1\)"),
        ("a: [1", "no YAML"),
        ("a: !!python/object/apply:os.system [ls]", "no YAML: could not determine a constructor"),
        ("a: 2020-99-99", "can't be read as YAML"),
        ("a: 1\n---\nb: 2", "no YAML"),
        ("", "holds nothing"),
        ("- a", "holds a list"),
        ("words", "holds text"),
        ("3", "holds 3"),
        ("a: " + "x" * 1_000_001, "1,000,004 letters"),
    ],
)
def test_settings_that_are_none_are_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        check_settings(text, "mine.yaml")
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_merged_and_repeated_values_are_settings() -> None:
    text = "base: &b {x: 1}\nmine: {<<: *b, y: [&n 2, *n], '3': 1}\nempty: {}"
    assert check_settings(text, "a")["mine"] == {"x": 1, "y": [2, 2], "3": 1}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"run: caf\xe9", r"not UTF-8 \(byte 0xe9 at 8\): save it as UTF-8"),
        (b"\xff\xfea\x00", "not UTF-8"),
        (b"a: " + b"x" * 2_000_000, "2,000,003 bytes, at most 1,000,000 are read"),
    ],
)
def test_files_that_are_none_are_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_settings(str(path), "--config")
    for place in (str(tmp_path), str(tmp_path / "none.yaml"), "/dev/null", ""):
        with pytest.raises(
            DataError, match=rf"--config.*{re.escape(place)}|{re.escape(place)}.*--c"
        ):
            read_settings(place, "--config")


def test_a_mark_before_utf8_is_no_part_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("size: 3\n", "utf-8-sig")
    assert read_settings(str(path), "--config") == {"size": 3}
