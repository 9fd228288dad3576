import json

import pytest
from hostile import values

from datamodules.json_values import as_integer, as_list, as_object, as_scalar, as_text, parse_json
from datamodules.sample_record import (
    parse_record,
    read_disparity_unit,
    read_label,
    read_semantics,
    read_size,
    read_time_of_day,
)

FIELDS = ("label", "size", "time_of_day", "semantics", "disparity_unit")


def read_all(content: bytes) -> None:
    record = parse_record(content)
    read_label(record)
    read_size(record)
    read_time_of_day(record)
    read_semantics(record, 2)
    read_disparity_unit(record)


def test_whatever_a_record_holds_it_is_read_or_refused_with_a_reason():
    for number, value in enumerate(values(2000)):
        record = value if number % 6 == 0 else {FIELDS[number % 5]: value}
        try:
            read_all(json.dumps(record).encode())
        except ValueError as error:
            assert 0 < len(str(error)) < 400  # noqa: PT017, either outcome is right


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[1, 2]", r"it is \[1, 2\], expected an object"),
        (b"null", "it is None, expected an object"),
        (b"7", "it is 7, expected an object"),
        (b"[" * 100_000, "it is nested too deep"),
        (b'{"a":' * 100_000, "it is nested too deep"),
        (b'{"label": ' + b"9" * 5000 + b"}", "integer string conversion"),
        (b'{"label": true}', "its label is True, expected an integer"),
        (b'{"label": 1.0}', "its label is 1.0, expected an integer"),
        (b'{"label": 9223372036854775808}', "its label is 9223372036854775808, expected one from"),
        (b'{"label": -2}', "its label is -2, expected one from -1 on"),
        (b'{"size": [1, 2, true]}', "expected .length, width, height., all above 0"),
        (b'{"size": [1, 2, NaN]}', "expected .length, width, height., all above 0"),
        (b'{"size": [1, 2, 1' + b"0" * 400 + b"]}", "expected .length, width, height."),
        (b'{"size": [1, 2, 1e300]}', "expected .length, width, height., all above 0"),
        (b'{"semantics": [1, Infinity]}', "its semantics is no list of 2 finite numbers"),
        (b'{"semantics": [1, 1' + b"0" * 400 + b"]}", "its semantics is no list of 2 finite"),
        (b'{"time_of_day": ["day"]}', "its time_of_day is .'day'., expected one of"),
        (b'{"disparity_unit": 0}', "its disparity_unit is 0, expected a number above 0"),
        (b'{"disparity_unit": "1"}', "its disparity_unit is '1', expected a number above 0"),
        (b'{"disparity_unit": 1e-60}', "its disparity_unit is 1e-60, expected a number above 0"),
        (b"\xff\xfe", "."),
    ],
)
def test_records_are_refused_with_the_reason(content, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_all(content)


def test_no_record_is_an_empty_one():
    assert parse_record(b"") == {}
    read_all(b"{}")


def test_values_are_named_with_what_was_expected():
    for check, value, sentence in (
        (lambda v: as_integer(v, "codes", 1, 9), True, "codes is True, expected an integer"),
        (lambda v: as_integer(v, "codes", 1, 9), 10, "codes is 10, expected 1 to 9"),
        (lambda v: as_text(v, "name"), 3, "name is 3, expected text"),
        (lambda v: as_list(v, "shards"), {}, "shards is {}, expected a list"),
        (lambda v: as_object(v, "files"), [], r"files is \[\], expected an object"),
        (lambda v: as_scalar(v, "fps"), float("nan"), "fps is nan, expected a finite number"),
        (lambda v: as_scalar(v, "fps"), [1], r"fps is \[1\], expected text, a number"),
        (lambda v: as_text(v, "name"), ["x" * 999], "name is .{60}[.]{3}, expected text"),
        (lambda v: as_text(v, "name"), 10**5000, "name is a int, expected text"),
    ):
        with pytest.raises(ValueError, match=sentence):
            check(value)


def test_json_is_parsed_from_text_and_bytes():
    assert parse_json('{"a": [1]}') == parse_json(b'{"a": [1]}') == {"a": [1]}
