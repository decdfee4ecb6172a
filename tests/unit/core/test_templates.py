from __future__ import annotations

from typing import Any

import pytest

from headway.core.errors import TemplateError
from headway.core.templates import (
    check_job_variables,
    check_template,
    complete_template,
    fill,
    merge_variables,
    preview,
    resolve,
)

TEMPLATE: dict[str, Any] = {
    "job_configuration": {
        "command": "{{ command }}",
        "env": {"BASE": "1"},
        "labels": {"app": "{{ name }}-run", "tier": "{{ tier }}"},
        "resources": {"cpu": "{{ cpu }}", "memory": "{{ memory }}Mi"},
        "volumes": ["{{ volume }}", "static"],
        "password": "{{ password }}",
    },
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "name": {"type": "string", "default": "job"},
            "tier": {"type": "string"},
            "cpu": {"type": "integer", "default": 1},
            "memory": {"type": "integer", "default": 512},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "volume": {"type": "string"},
            "password": {"type": "string", "format": "password"},
        },
    },
}


def test_later_layers_win_and_types_are_kept() -> None:
    resolved = resolve(TEMPLATE, {"cpu": 2, "command": "a"}, {"cpu": 4})
    assert resolved["resources"] == {"cpu": 4, "memory": "512Mi"}
    assert resolved["command"] == "a"


def test_what_has_no_value_is_dropped() -> None:
    resolved = resolve(TEMPLATE)
    assert "command" not in resolved
    assert resolved["labels"] == {"app": "job-run"}
    assert resolved["volumes"] == ["static"]


def test_env_is_merged_over_all_layers() -> None:
    resolved = resolve(TEMPLATE, {"env": {"A": "1", "B": "1"}}, {"env": {"B": "2"}, "env.C": "3"})
    assert resolved["env"] == {"BASE": "1", "A": "1", "B": "2", "C": "3"}


def test_nested_values_and_foreign_placeholders() -> None:
    values = {"a": {"b": [10, 20]}}
    template = {"x": "{{ a.b[1] }}", "y": "{{ a.b }} of {{$HOME}}", "z": "{{ prefect.variables.v }}", "w": "{{a.c}}"}
    assert fill(template, values) == {
        "x": 20,
        "y": "[10, 20] of {{$HOME}}",
        "z": "{{ prefect.variables.v }}",
    }


@pytest.mark.parametrize("value", [None, 0, False, [], {}])
def test_a_placeholder_alone_becomes_the_value_as_it_is(value: Any) -> None:
    assert fill({"x": "{{ v }}"}, {"v": value}) == {"x": value}


def test_only_the_last_layer_counts_outside_env() -> None:
    assert merge_variables({"x": {"a": 1}}, {"x": {"b": 2}}) == {"x": {"b": 2}}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"cpuu": 2}, "unknown job variable 'cpuu' (did you mean 'cpu'?); allowed: command, cpu, env, memory, name"),
        ({"cpu": "two"}, "job variable 'cpu' is wrong: 'two' is not of type 'integer'; allowed: command, cpu"),
        ({"env": {"A": 1}}, "job variable 'env.A' is wrong: 1 is not of type 'string'; allowed:"),
        ({"env.A": 1}, "job variable 'env.A' is wrong"),
        ({"zzz.A": 1}, "unknown job variable 'zzz'"),
    ],
)
def test_unknown_and_ill_typed_job_variables_are_refused_with_the_allowed_ones(
    variables: dict[str, Any], message: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        check_job_variables(TEMPLATE, variables)
    assert message in caught.value.message
    assert caught.value.loc[0] == "job_variables"


def test_a_required_variable_is_missed_only_when_a_run_is_made() -> None:
    template = {
        "job_configuration": {"image": "{{ image }}"},
        "variables": {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]},
    }
    check_job_variables(template, {})
    check_job_variables(template, {"image": "x"}, {}, required=True)
    with pytest.raises(TemplateError, match="job variable 'image' is required; allowed: image"):
        check_job_variables(template, {}, None, required=True)


def test_a_template_without_variables_takes_anything() -> None:
    check_job_variables({}, {"anything": 1}, required=True)
    check_job_variables({"job_configuration": {}, "variables": {}}, {"anything": 1})


def test_which_engine_starts_is_allowed_everywhere_and_none_unsets_what_need_not_be_given() -> None:
    check_job_variables(TEMPLATE, {"engine": "prefect", "command": None})


def test_a_wrong_default_of_the_pool_does_not_stop_others() -> None:
    template = {
        "job_configuration": {},
        "variables": {"properties": {"a": {"type": "integer", "default": "x"}, "b": {}}},
    }
    check_job_variables(template, {"b": 1}, required=True)
    with pytest.raises(TemplateError, match="the default of a variable does not fit its own schema: a: 'x'"):
        check_template(template)


def test_a_flat_object_becomes_the_defaults_of_the_types_template() -> None:
    complete = complete_template({"cpu": 8, "tier": "gold"}, TEMPLATE)
    assert resolve(complete)["resources"]["cpu"] == 8
    assert resolve(complete)["labels"]["tier"] == "gold"
    assert TEMPLATE["variables"]["properties"]["cpu"]["default"] == 1


def test_a_flat_object_with_an_unknown_key_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(TemplateError, match=r"unknown job variable 'hots'.*allowed: command"):
        complete_template({"hots": 1}, TEMPLATE)
    with pytest.raises(TemplateError, match="need the template of a known type"):
        complete_template({"host": "10.0.0.5"}, None)


def test_variables_are_derived_from_plain_values() -> None:
    complete = complete_template(
        {"job_configuration": {"host": "10.0.0.5", "port": 22, "tags": ["a"], "login": "{{ user }}@{{ host }}"}}
    )
    properties = complete["variables"]["properties"]
    assert properties["host"] == {"title": "Host", "type": "string", "default": "10.0.0.5"}
    assert properties["port"]["type"] == "integer"
    assert properties["tags"]["type"] == "array"
    assert set(properties) == {"host", "port", "tags", "user"}
    assert resolve(complete, {"user": "ops"}, {"port": 2222}) == {
        "host": "10.0.0.5",
        "port": 2222,
        "tags": ["a"],
        "login": "ops@10.0.0.5",
    }
    with pytest.raises(TemplateError, match="allowed: host, port, tags, user"):
        check_job_variables(complete, {"nope": 1})


def test_nothing_given_means_the_default_template() -> None:
    assert complete_template({}, TEMPLATE) == TEMPLATE
    assert complete_template({}) == {}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"job_configuration": 3, "variables": {}}, "'job_configuration' of a base job template must be an object"),
        ({"job_configuration": 3}, "must be an object"),
        ({"variables": {}}, "no 'job_configuration'"),
        ({"job_configuration": {}, "variables": []}, "'variables' of a base job template must be an object"),
        ({"job_configuration": {}, "variables": {}, "extra": 1}, "not 'extra'"),
        (
            {"job_configuration": {}, "variables": {"properties": {"a": {"type": "whole"}}}},
            "'variables' of the base job template: invalid JSON Schema at properties.a.type",
        ),
    ],
)
def test_a_malformed_template_is_refused(template: dict[str, Any], message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        complete_template(template, TEMPLATE)
    assert message in caught.value.message


def test_a_preview_masks_secrets() -> None:
    shown = preview(
        TEMPLATE,
        {"password": "hunter2", "command": "login --with hunter2", "env": {"AWS_SECRET": "s", "HOME": "/h"}},
    )
    assert "hunter2" not in str(shown)
    assert shown["password"] == "********"
    assert shown["command"] == "login --with ********"
    assert shown["env"] == {"BASE": "1", "AWS_SECRET": "********", "HOME": "/h"}
