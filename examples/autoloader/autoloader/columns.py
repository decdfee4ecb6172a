"""Column types: what a text column holds, and how each value is turned into it or refused.

Types are few on purpose: long, double, boolean, date, timestamp, timestamptz and string. Everything is done on whole
batches; single values are looked at only in a batch that has a bad one.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
)

SOURCE_PATH, SOURCE_HASH, SOURCE_ROW = "_source_path", "_source_hash", "_source_row"
IDENTITY_COLUMNS: Mapping[str, str] = {SOURCE_PATH: "string", SOURCE_HASH: "string", SOURCE_ROW: "long"}

ARROW: Mapping[str, pa.DataType] = {
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "string": pa.string(),
}
ICEBERG: Mapping[str, IcebergType] = {
    "long": LongType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
    "date": DateType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
    "string": StringType(),
}
IN_WORDS: Mapping[str, str] = {
    "long": "a whole number",
    "double": "a number",
    "boolean": "true or false",
    "date": "a date like 2013-12-31",
    "timestamp": "a time like 2013-12-31T23:59:59",
    "timestamptz": "a time with its zone, like 2013-12-31T23:59:59Z",
    "string": "text in UTF-8",
}

_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"

# From the narrowest to the widest; what none describes is a string. Leading zeros mean a code, not a number.
SHAPES: Mapping[str, str] = {
    "long": r"^-?(0|[1-9][0-9]{0,17})$",
    "double": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$",
    "boolean": r"^(true|false|True|False|TRUE|FALSE)$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "timestamp": rf"^{_MOMENT}$",
    "timestamptz": rf"^{_MOMENT}(Z|[-+][0-9]{{2}}:?[0-9]{{2}})$",
}
ENOUGH = 0.9
"""The share of a sample's values a type must describe: a few malformed values must not turn numbers into text."""


def text(values: pa.Array, na_values: Sequence[str]) -> pa.Array:
    """Bytes of one column as text, with the spellings of "not available" as null, and undecodable values too."""
    try:
        strings = values.cast(pa.string())
    except pa.ArrowInvalid:
        strings = pa.array([_decoded(value) for value in values.to_pylist()], pa.string())
    absent = pc.is_in(strings, value_set=pa.array(na_values, pa.string()))
    return pc.if_else(absent, pa.scalar(None, pa.string()), strings)


def infer(strings: pa.ChunkedArray | pa.Array) -> str:
    """The narrowest type that describes at least 90 % of the values present; ``string`` if there are none."""
    present = strings.drop_null()
    if len(present) == 0:
        return "string"
    for name, shape in SHAPES.items():
        fitting = pc.sum(pc.match_substring_regex(present, shape)).as_py() or 0
        if fitting >= ENOUGH * len(present):
            return name
    return "string"


def convert(raw: pa.Array, kind: str, na_values: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """One column of bytes as its type, and a mask of the rows whose value is not of that type (null there)."""
    strings = text(raw, na_values)
    undecodable = pc.and_(pc.is_null(strings), pc.invert(pc.is_in(raw, value_set=_as_bytes(na_values))))
    if kind == "string":
        return strings, undecodable
    try:
        return strings.cast(ARROW[kind]), undecodable
    except pa.ArrowInvalid:
        refused = [value for value in pc.unique(strings.drop_null()).to_pylist() if not _is(value, ARROW[kind])]
        bad = pc.is_in(strings, value_set=pa.array(refused, pa.string()))
        kept = pc.if_else(bad, pa.scalar(None, pa.string()), strings)
        return kept.cast(ARROW[kind]), pc.or_(bad, undecodable)


def _as_bytes(na_values: Sequence[str]) -> pa.Array:
    return pa.array([value.encode() for value in na_values], pa.binary())


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _is(value: str, kind: pa.DataType) -> bool:
    try:
        pa.scalar(value, pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
