from __future__ import annotations

from typing import Any

import pytest

from headway.core.json_schema import UnusableSchema, check_schema, problems

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "who": {"$ref": "#/$defs/Person"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]},
    },
    "required": ["n"],
    "$defs": {"Person": {"type": "object", "properties": {"required": {"type": "string"}}, "required": ["required"]}},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"n": 1}, []),
        ({}, ["n: is required"]),
        ({"n": "x"}, ["n: 'x' is not of type 'integer'"]),
        ({"n": 1, "who": {}}, ["who.required: is required"]),
        ({"n": 1, "who": {"required": 3}}, ["who.required: 3 is not of type 'string'"]),
        ({"n": 1, "either": "x"}, ["either: 'x' is not of type 'integer' or 'null'"]),
        ({"n": 1, "pair": [1, 2]}, ["pair[1]: 2 is not of type 'string'"]),
    ],
)
def test_each_bad_field_is_one_problem(value: dict[str, Any], expected: list[str]) -> None:
    assert [str(problem) for problem in problems(value, SCHEMA)] == expected


def test_required_fields_may_be_left_out_at_every_level_but_a_field_may_be_called_required() -> None:
    assert problems({"who": {}}, SCHEMA, required=False) == []
    assert [str(one) for one in problems({"who": {"required": 3}}, SCHEMA, required=False)] == [
        "who.required: 3 is not of type 'string'"
    ]


def test_a_schema_is_never_fetched() -> None:
    with pytest.raises(UnusableSchema, match=r"nothing is found at \$ref"):
        problems({"a": 1}, {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema"}}})


def test_a_schema_that_goes_round_in_circles_is_refused() -> None:
    with pytest.raises(UnusableSchema, match="circles"):
        problems({"a": 1}, {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}})


def test_an_invalid_schema_says_where() -> None:
    with pytest.raises(UnusableSchema, match=r"properties\.a\.type"):
        check_schema({"properties": {"a": {"type": "whole"}}})
