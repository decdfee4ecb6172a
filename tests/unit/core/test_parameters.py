from __future__ import annotations

from typing import Any

import pytest

from headway.core.errors import ParameterError
from headway.core.parameters import check_parameters, hydrate, variables_named

SCHEMA: dict[str, Any] = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "limit": {"type": "integer", "default": 10},
        "options": {"$ref": "#/definitions/Options"},
    },
    "required": ["path"],
    "definitions": {"Options": {"type": "object", "properties": {"deep": {"type": "boolean"}}}},
}


def kind(name: str, **fields: Any) -> dict[str, Any]:
    return {"__prefect_kind": name, **fields}


def test_plain_values_pass_through() -> None:
    assert hydrate({"a": 1, "b": {"c": [None, "x"]}}) == {"a": 1, "b": {"c": [None, "x"]}}


def test_each_kind_becomes_its_value_at_any_depth() -> None:
    given = {
        "numbers": kind("json", value="[1, 2]"),
        "nested": {"text": kind("jinja", template="{{ 1 + 1 }} {{ name }}")},
        "bucket": [kind("workspace_variable", variable_name="bucket")],
        "plain": kind("none", value=kind("json", value='{"a": 1}')),
        "inner": kind("json", value=kind("workspace_variable", variable_name="raw")),
    }
    variables = {"bucket": "s3://x", "raw": "[3]"}
    assert variables_named(given) == {"bucket", "raw"}
    assert hydrate(given, variables, {"name": "n"}) == {
        "numbers": [1, 2],
        "nested": {"text": "2 n"},
        "bucket": ["s3://x"],
        "plain": {"a": 1},
        "inner": [3],
    }


def test_an_object_without_its_value_removes_the_parameter() -> None:
    assert hydrate({"a": kind("json"), "b": [kind("workspace_variable"), 1]}) == {"b": [1]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": kind("yaml", value="x")}, "parameter 'a': unknown __prefect_kind 'yaml'; expected one of json, jinja"),
        ({"a": kind("json", value="{")}, "parameter 'a': not valid JSON"),
        ({"a": {"b": [kind("jinja", template="{{ x")]}}, "parameter 'a.b[0]': the jinja template cannot be rendered"),
        ({"a": kind("jinja")}, "needs 'template'"),
        ({"a": kind("workspace_variable", variable_name="v")}, "variable 'v' does not exist; create it first"),
        ({"a": kind("jinja", template="{{ ().__class__.__bases__ }}")}, "cannot be rendered"),
        ({"a": kind("jinja", template="{{ 'x' * 10000000000 }}")}, "'*' is not allowed"),
        (
            {"a": kind("jinja", template="{% for i in range(99999) %}{{ 'x' ~ '%09999d' % 1 }}{% endfor %}")},
            "renders to",
        ),
        ({"a": kind("jinja", template="{{ 1 / 0 }}")}, "division by zero"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        hydrate(given)
    assert message in caught.value.message
    assert caught.value.loc[:2] == ["parameters", "a"]


def test_every_bad_parameter_has_a_line_of_its_own() -> None:
    with pytest.raises(ParameterError) as caught:
        check_parameters({"limit": "ten", "options": {"deep": 3}, "pth": "x"}, SCHEMA)
    assert caught.value.message.splitlines() == [
        "parameter 'pth' is not known (did you mean 'path'?); the flow takes: path, limit, options",
        "parameter 'limit' is wrong: 'ten' is not of type 'integer'",
        "parameter 'options.deep' is wrong: 3 is not of type 'boolean'",
        "parameter 'path' is required",
    ]


def test_a_deployment_may_leave_required_parameters_to_its_runs() -> None:
    check_parameters({}, SCHEMA, required=False)
    with pytest.raises(ParameterError, match="parameter 'path' is required"):
        check_parameters({}, SCHEMA)


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}])
def test_without_a_schema_anything_fits(schema: dict[str, Any] | None) -> None:
    check_parameters({"x": 1}, schema)


def test_a_flow_with_keyword_arguments_takes_any_name() -> None:
    check_parameters({"x": 1, "path": "p"}, {**SCHEMA, "additionalProperties": True})


def test_a_schema_that_cannot_be_used_is_said_so() -> None:
    with pytest.raises(ParameterError, match="the deployment's parameter schema cannot be used"):
        check_parameters({"a": 1}, {"properties": {"a": {"$ref": "#/nowhere"}}})
