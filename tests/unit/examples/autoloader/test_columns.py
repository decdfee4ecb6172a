"""What a text column is taken for, and what is done with values that are something else."""

import datetime as dt

import pyarrow as pa
import pytest

from autoloader import columns

NA = ("", "NA")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-20", "0"], "long"),
        (["1", "2.5", "1e3"], "double"),
        (["true", "False"], "boolean"),
        (["2013-01-31"], "date"),
        (["2013-01-31T10:00:00", "2013-01-31 10:00"], "timestamp"),
        (["2013-01-31T10:00:00Z", "2013-01-31T10:00:00+02:00"], "timestamptz"),
        (["N14228", "1"], "string"),
        (["007", "01234"], "string"),
        ([None, None], "string"),
        (["1", None, "3"], "long"),
    ],
)
def test_the_narrowest_type_that_describes_the_values_is_inferred(values: list[str | None], kind: str) -> None:
    assert columns.infer(pa.array(values, pa.string())) == kind


def test_one_malformed_value_in_ten_does_not_turn_numbers_into_text() -> None:
    assert columns.infer(pa.array([*"123456789", "x"])) == "long"
    assert columns.infer(pa.array([*"12345678", "x", "y"])) == "string"


def test_not_available_becomes_null_in_every_type() -> None:
    for kind in columns.ARROW:
        converted, bad = columns.convert(pa.array([b"NA", b""]), kind, NA)
        assert converted.to_pylist() == [None, None]
        assert bad.to_pylist() == [False, False]


@pytest.mark.parametrize(
    ("kind", "good", "value", "bad"),
    [
        ("long", b"12", 12, b"1.5"),
        ("long", b"12", 12, b"99999999999999999999"),
        ("double", b"1.5", 1.5, b"one"),
        ("boolean", b"true", True, b"maybe"),
        ("date", b"2013-02-28", dt.date(2013, 2, 28), b"2013-02-31"),
        ("timestamp", b"2013-02-28T01:02:03", dt.datetime(2013, 2, 28, 1, 2, 3), b"2013-02-28T25:00:00"),  # noqa: DTZ001
        ("timestamptz", b"2013-02-28T01:02:03Z", dt.datetime(2013, 2, 28, 1, 2, 3, tzinfo=dt.UTC), b"yesterday"),
        ("string", "é".encode(), "é", b"\xff\xfe"),
    ],
)
def test_a_value_that_is_not_of_the_type_is_marked_and_the_rest_is_kept(
    kind: str, good: bytes, value: object, bad: bytes
) -> None:
    converted, marked = columns.convert(pa.array([good, bad, good]), kind, NA)
    assert converted.type == columns.ARROW[kind]
    assert converted.to_pylist() == [value, None, value]
    assert marked.to_pylist() == [False, True, False]


def test_every_type_has_words_an_arrow_type_and_an_iceberg_type() -> None:
    assert columns.ARROW.keys() == columns.ICEBERG.keys() == columns.IN_WORDS.keys()
