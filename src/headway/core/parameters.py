"""A run's parameters: filled in (`__prefect_kind` objects become values) and checked against the flow's schema.

    {"__prefect_kind": "json", "value": "[1, 2]"}                        -> [1, 2]
    {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}               -> "2"
    {"__prefect_kind": "workspace_variable", "variable_name": "bucket"}  -> the variable's value
    {"__prefect_kind": "none", "value": …}                               -> …

Like the reference (CONTRACT §2.4), a json or workspace_variable object without its value removes the parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headway.core import json_schema
from headway.core.errors import ParameterError
from headway.core.lazy import Lazy

if TYPE_CHECKING:
    from headway.core import sandbox
else:
    sandbox = Lazy("headway.core.sandbox")

__all__ = ["check_parameters", "hydrate", "variables_named"]

KIND = "__prefect_kind"
KINDS = ("json", "jinja", "none", "workspace_variable")
MAX_TEMPLATE_LENGTH = 20_000
MAX_RENDERED_LENGTH = 1_000_000

Path = tuple[str | int, ...]


class _Removed:
    """What takes the place of a value that is not there."""


_REMOVED = _Removed()


def hydrate(
    parameters: Mapping[str, Any],
    variables: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Parameters with every `__prefect_kind` object replaced by its value.

    `variables` are the workspace's, by name; `context` is what jinja templates may use. Raises `ParameterError`
    with the parameter's path.
    """
    hydrator = _Hydrator(variables or {}, context or {})
    filled = hydrator.value(dict(parameters), ())
    return filled if isinstance(filled, dict) else {}


def variables_named(parameters: Any) -> set[str]:
    """The names of the workspace variables that `hydrate` will want."""
    if isinstance(parameters, Mapping):
        names = {name for value in parameters.values() for name in variables_named(value)}
        own = parameters.get("variable_name")
        if parameters.get(KIND) == "workspace_variable" and isinstance(own, str):
            names.add(own)
        return names
    if isinstance(parameters, list):
        return {name for item in parameters for name in variables_named(item)}
    return set()


def check_parameters(parameters: Mapping[str, Any], schema: Mapping[str, Any] | None, *, required: bool = True) -> None:
    """Raise `ParameterError`, one line per bad parameter, unless they fit the flow's `parameter_openapi_schema`.

    A name that the schema does not know is refused too: the flow could not be called with it.
    """
    if not schema:
        return
    known = schema.get("properties") or {}
    lines: dict[str, Path] = {}
    if schema.get("additionalProperties") is not True and "properties" in schema:
        for name in sorted(set(parameters) - set(known)):
            takes = f"the flow takes: {', '.join(known)}" if known else "the flow takes no parameters"
            lines[f"parameter '{name}' is not known{json_schema.closest(name, known)}; {takes}"] = (name,)
    judged = {name: value for name, value in parameters.items() if name in known} if known else parameters
    try:
        found = json_schema.problems(judged, schema, required=required)
    except json_schema.UnusableSchema as error:
        raise ParameterError(f"the deployment's parameter schema cannot be used: {error}") from None
    for problem in found:
        lines[f"parameter '{json_schema.dotted(problem.path)}' {_worded(problem.message)}"] = problem.path
    if lines:
        raise ParameterError("\n".join(lines), ("parameters", *next(iter(lines.values()))))


def _worded(message: str) -> str:
    return message if message.startswith("is ") else f"is wrong: {message}"


class _Hydrator:
    def __init__(self, variables: Mapping[str, Any], context: Mapping[str, Any]) -> None:
        self._variables = variables
        self._context = context

    def value(self, given: Any, path: Path) -> Any:
        if isinstance(given, Mapping):
            if KIND in given:
                return self._special(given, path)
            pairs = ((key, self.value(item, (*path, key))) for key, item in given.items())
            return {key: item for key, item in pairs if item is not _REMOVED}
        if isinstance(given, list):
            items = (self.value(item, (*path, index)) for index, item in enumerate(given))
            return [item for item in items if item is not _REMOVED]
        return given

    def _special(self, given: Mapping[str, Any], path: Path) -> Any:
        match given[KIND]:
            case "none" | None:
                return self._inner(given, "value", path)
            case "json":
                return self._json(self.value(given["value"], path), path) if "value" in given else _REMOVED
            case "jinja":
                return self._jinja(self._inner(given, "template", path), path)
            case "workspace_variable":
                return self._variable(given, path)
            case other:
                raise _wrong(path, f"unknown {KIND} '{other}'; expected one of {', '.join(KINDS)}")

    def _inner(self, given: Mapping[str, Any], key: str, path: Path) -> Any:
        if key not in given:
            raise _wrong(path, f"a {KIND} '{given[KIND]}' needs '{key}'")
        return self.value(given[key], path)

    def _json(self, text: Any, path: Path) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return json.loads(text)
        except ValueError as error:
            raise _wrong(path, f"not valid JSON: {error}") from None

    def _jinja(self, template: Any, path: Path) -> Any:
        if not isinstance(template, str):
            raise _wrong(path, "a jinja template must be a text")
        if len(template) > MAX_TEMPLATE_LENGTH:
            raise _wrong(path, f"the jinja template is longer than {MAX_TEMPLATE_LENGTH} characters")
        try:
            return _joined(sandbox.pieces(template, self._context), path)
        except (sandbox.TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise _wrong(path, f"the jinja template cannot be rendered: {error}") from None

    def _variable(self, given: Mapping[str, Any], path: Path) -> Any:
        if "variable_name" not in given:
            return _REMOVED
        name = self.value(given["variable_name"], path)
        if name not in self._variables:
            raise _wrong(path, f"variable '{name}' does not exist; create it first")
        return self._variables[name]


def _joined(pieces: Any, path: Path) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if len(text) > MAX_RENDERED_LENGTH:
            raise _wrong(path, f"the jinja template renders to more than {MAX_RENDERED_LENGTH} characters")
    return text


def _wrong(path: Path, message: str) -> ParameterError:
    return ParameterError(f"parameter '{json_schema.dotted(path)}': {message}", ("parameters", *path))
