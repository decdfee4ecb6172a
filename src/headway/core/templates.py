"""Base job templates: what a pool's runs are started with, and what deployments and runs may change of it.

A template is `{"job_configuration": {… "{{ variable }}" …}, "variables": <JSON Schema of an object>}`. Values are
looked up in this order, later ones win: the schema's defaults (pool), the deployment's job variables, the run's.
A text that is exactly one placeholder becomes the value, type kept; a placeholder inside a longer text is put in
as text. A placeholder without a value drops its key (or is dropped from the text). `env` is merged, not replaced.
Placeholders of other kinds (`{{ $HOME }}`, `{{ prefect.variables.x }}`) are left for whoever knows their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headway.core import json_schema
from headway.core.errors import TemplateError

__all__ = [
    "check_job_variables",
    "check_template",
    "complete_template",
    "fill",
    "merge_variables",
    "preview",
    "resolve",
    "variable_defaults",
]

Json = dict[str, Any]

PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
FOREIGN = ("prefect.blocks.", "prefect.variables.", "$")
"""Beginnings of placeholders that are not job variables."""

ALWAYS_ALLOWED = frozenset({"engine"})
"""Job variables that any template takes, declared or not (DESIGN §4)."""

SECRET_NAME = re.compile(
    r"(pass(word|wd|phrase)?|secret|token|credential|api_?key|private_?key|auth)s?$", re.IGNORECASE
)
MASK = "********"


class _Missing:
    """The value of a placeholder that has none."""


_MISSING = _Missing()


# --- templates ---


def check_template(template: Mapping[str, Any]) -> None:
    """Raise `TemplateError` unless the template is empty (takes anything) or complete and well formed."""
    if not template:
        return
    unknown = sorted(set(template) - {"job_configuration", "variables"})
    if unknown:
        raise TemplateError(
            f"a base job template has 'job_configuration' and 'variables' only, not '{unknown[0]}'", (unknown[0],)
        )
    for part in ("job_configuration", "variables"):
        if part not in template:
            raise TemplateError(f"the base job template has no '{part}'; it must be an object", (part,))
        if not isinstance(template[part], Mapping):
            raise TemplateError(f"'{part}' of a base job template must be an object", (part,))
    try:
        json_schema.check_schema(template["variables"])
    except json_schema.UnusableSchema as error:
        raise TemplateError(f"'variables' of the base job template: {error}", ("variables",)) from None
    _check_defaults(template)


def complete_template(given: Mapping[str, Any], default: Mapping[str, Any] | None = None) -> Json:
    """The base job template meant by what a person gave, checked.

    `given` may be a template; a template without `variables` (derived: each plain value of `job_configuration`
    becomes a variable with that default and its type); or a flat object of defaults for the variables of
    `default`, the type's own template. Nothing given means `default`.
    """
    if not given:
        complete = dict(default or {})
    elif "job_configuration" in given:
        complete = dict(given) if "variables" in given else _derived(given)
    elif "variables" in given and isinstance(given["variables"], Mapping):
        raise TemplateError("the base job template has 'variables' but no 'job_configuration'", ("job_configuration",))
    else:
        complete = _with_defaults(given, default)
    check_template(complete)
    return complete


def variable_defaults(template: Mapping[str, Any]) -> Json:
    """The pool's layer: the default of every variable that has one."""
    return {name: schema["default"] for name, schema in _variables(template).items() if "default" in schema}


def _variables(template: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    declared = (template.get("variables") or {}).get("properties") or {}
    return {name: schema if isinstance(schema, Mapping) else {} for name, schema in declared.items()}


def _check_defaults(template: Mapping[str, Any]) -> None:
    defaults = variable_defaults(template)
    found = json_schema.problems(defaults, template["variables"], required=False, none_is_unset=True)
    # A default that stands for a stored block is resolved by whoever knows blocks.
    found = [one for one in found if not _is_reference(defaults.get(str(one.path[0])) if one.path else None)]
    if found:
        raise TemplateError(
            f"the default of a variable does not fit its own schema: {found[0]}",
            ("variables", "properties", *found[0].path),
        )


def _is_reference(value: Any) -> bool:
    return isinstance(value, Mapping) and "$ref" in value


def _derived(given: Mapping[str, Any]) -> Json:
    configuration = given["job_configuration"]
    if not isinstance(configuration, Mapping):
        raise TemplateError("'job_configuration' of a base job template must be an object", ("job_configuration",))
    properties: dict[str, Json] = {}
    filled: Json = {}
    for name, value in configuration.items():
        named = list(_placeholders(value))
        if named:
            filled[name] = value
            for placeholder in named:
                properties.setdefault(placeholder, {"title": _title(placeholder)})
        else:
            filled[name] = f"{{{{ {name} }}}}"
            properties[name] = {"title": _title(name), "default": value, **_inferred(value)}
    return {**given, "job_configuration": filled, "variables": {"type": "object", "properties": properties}}


def _inferred(value: Any) -> Json:
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"))
    for kind, name in kinds:
        if isinstance(value, kind):
            return {"type": name}
    return {"type": "object"} if isinstance(value, Mapping) else {}


def _title(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").title()


def _with_defaults(given: Mapping[str, Any], default: Mapping[str, Any] | None) -> Json:
    if not default:
        raise TemplateError(
            "defaults for variables need the template of a known type; give 'job_configuration' and 'variables'"
        )
    check_job_variables(default, given)
    variables = default["variables"]
    properties = {
        name: {**schema, "default": given[name]} if name in given else schema
        for name, schema in _variables(default).items()
    }
    return {**default, "variables": {**variables, "properties": properties}}


# --- job variables ---


def check_job_variables(template: Mapping[str, Any], *layers: Mapping[str, Any] | None, required: bool = False) -> None:
    """Raise `TemplateError` if the layers together hold a variable that is unknown or of the wrong type.

    `required` (a run is made: nothing more will come) also refuses a variable that nobody set. The message lists
    the allowed names. A template without variables takes anything.
    """
    schema = template.get("variables") or {}
    allowed = _variables(template)
    if not allowed:
        return
    given = merge_variables(*layers)
    names = f"; allowed: {', '.join(sorted(allowed))}"
    for name in given:
        if name in allowed or name in ALWAYS_ALLOWED or schema.get("additionalProperties") is True:
            continue
        hint = json_schema.closest(name, allowed)
        raise TemplateError(f"unknown job variable '{name}'{hint}{names}", ("job_variables", name))
    # What the pool itself says is the pool's affair: only what the layers set is judged here.
    known = {name: value for name, value in given.items() if name in allowed}
    values = {**variable_defaults(template), **known}
    for problem in json_schema.problems(values, schema, required=required, none_is_unset=True):
        name = str(problem.path[0]) if problem.path else ""
        if name in known or name not in values:
            said = f"job variable '{json_schema.dotted(problem.path)}' {_worded(problem.message)}"
            raise TemplateError(f"{said}{names}", ("job_variables", *problem.path))


def _worded(message: str) -> str:
    return message if message.startswith("is ") else f"is wrong: {message}"


def merge_variables(*layers: Mapping[str, Any] | None) -> Json:
    """One object of job variables; later layers win, `env` is merged, `env.NAME` means a key of `env`."""
    merged: Json = {}
    for layer in layers:
        for name, value in sorted((layer or {}).items(), key=lambda item: "." not in item[0]):
            root, _, rest = name.partition(".")
            if rest:
                value = _nested(rest.split("."), value)
            old = merged.get(root)
            if isinstance(old, Mapping) and isinstance(value, Mapping) and (rest or root == "env"):
                merged[root] = _deep(old, value)
            else:
                merged[root] = value
    return merged


def _nested(keys: list[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _deep(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    both = dict(old)
    for key, value in new.items():
        before = both.get(key)
        both[key] = _deep(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return both


# --- resolution ---


def resolve(template: Mapping[str, Any], *layers: Mapping[str, Any] | None) -> Json:
    """The job configuration of one run: the template filled from its defaults and the layers, in order."""
    values = merge_variables(variable_defaults(template), *layers)
    configuration = dict(template.get("job_configuration") or {})
    if isinstance(configuration.get("env"), Mapping) and isinstance(values.get("env"), Mapping):
        configuration["env"] = {**configuration["env"], **values["env"]}
    filled: Json = fill(configuration, values)
    return filled


def preview(template: Mapping[str, Any], *layers: Mapping[str, Any] | None) -> Json:
    """What `resolve` gives, fit to be shown: values of variables and keys that hold secrets are masked."""
    values = merge_variables(variable_defaults(template), *layers)
    secrets = {
        str(values[name])
        for name, schema in _variables(template).items()
        if (schema.get("format") == "password" or schema.get("writeOnly")) and values.get(name)
    }
    masked: Json = _masked(resolve(template, *layers), secrets)
    return masked


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """`template` with its placeholders replaced from `values`, at any depth."""
    filled = _fill(template, values)
    return None if filled is _MISSING else filled


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        return _fill_text(template, values)
    if isinstance(template, Mapping):
        pairs = ((key, _fill(value, values)) for key, value in template.items())
        return {key: value for key, value in pairs if value is not _MISSING}
    if isinstance(template, list):
        items = (_fill(item, values) for item in template)
        return [item for item in items if item is not _MISSING]
    return template


def _fill_text(text: str, values: Mapping[str, Any]) -> Any:
    whole = PLACEHOLDER.fullmatch(text)
    if whole and not whole[1].startswith(FOREIGN):
        return _look_up(values, whole[1])

    def as_text(match: re.Match[str]) -> str:
        if match[1].startswith(FOREIGN):
            return match[0]
        value = _look_up(values, match[1])
        return "" if value is _MISSING else str(value)

    return PLACEHOLDER.sub(as_text, text)


def _look_up(values: Mapping[str, Any], name: str) -> Any:
    """The value at `a.b[0]`, or `_MISSING`."""
    found: Any = values
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", name):
        if index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        elif key and isinstance(found, Mapping) and key in found:
            found = found[key]
        else:
            return _MISSING
    return found


def _placeholders(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from (name for name in PLACEHOLDER.findall(template) if not name.startswith(FOREIGN))
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _placeholders(value)
    elif isinstance(template, list):
        for item in template:
            yield from _placeholders(item)


def _masked(value: Any, secrets: set[str], name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(item, secrets, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, secrets, name) for item in value]
    if value is not None and value != "" and SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    return value
