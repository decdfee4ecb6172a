"""Parameters of flows and tasks: binding, checking against type hints, JSON Schema, and JSON form.

pydantic is loaded only when a value is not already exactly what a plain hint (int, str, …) asks for.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headway.core.errors import ParameterError

if TYPE_CHECKING:
    import inspect

__all__ = ["Parameters", "json_form"]

PLAIN = (int, str, float, bool, bytes, dict, list, type(None))


class Parameters:
    """What a function takes. Everything but the signature is worked out on first use."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._hints: dict[str, Any] | None = None
        self._checks: list[tuple[str, Any, Any]] | None = None
        self._adapters: dict[str, Any] = {}

    @cached_property
    def signature(self) -> inspect.Signature:
        import inspect  # loaded by the first call

        return inspect.signature(self._function)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether every value has a parameter of its own that can be named."""
        return all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in self.signature.parameters.values())

    @cached_property
    def _positional(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD)

    @cached_property
    def _named(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.signature.parameters.values() if p.kind is p.KEYWORD_ONLY)

    @property
    def hints(self) -> dict[str, Any]:
        """Type hints by parameter; ones that cannot be resolved are left out."""
        if self._hints is None:
            try:
                found = typing.get_type_hints(self._function, include_extras=True)
            except Exception:
                found = {
                    name: parameter.annotation
                    for name, parameter in self.signature.parameters.items()
                    if not isinstance(parameter.annotation, str)
                }
            empty = self.signature.empty
            self._hints = {
                name: hint
                for name, hint in found.items()
                if name in self.signature.parameters and hint is not empty and hint is not Any
            }
        return self._hints

    def bind(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """Values by name, defaults included. Raises ParameterError for wrong names or numbers."""
        if self._is_plain and not named and not self._named and len(arguments) == len(self._positional):
            return dict(zip(self._positional, arguments, strict=True))  # what most calls are
        try:
            bound = self.signature.bind(*arguments, **named)
        except TypeError as error:
            raise ParameterError(f"{self._words()}: {error}. It takes {self.signature}.") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def from_names(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values by name as a deployment gives them; `*args` and `**kwargs` under their own names."""
        taken = self.signature.parameters
        variadic = [p.name for p in taken.values() if p.kind is p.VAR_KEYWORD]
        unknown = [name for name in values if name not in taken]
        if unknown and not variadic:
            known = ", ".join(taken) or "none"
            raise ParameterError(
                f"{self._words()} has no parameter {unknown[0]!r}; it takes: {known}.", loc=("parameters", unknown[0])
            )
        given = {name: value for name, value in values.items() if name in taken}
        if variadic and unknown:
            given[variadic[0]] = {**given.get(variadic[0], {}), **{name: values[name] for name in unknown}}
        for name, parameter in taken.items():
            if name not in given:
                given[name] = self._default(parameter)
        return {name: given[name] for name in taken}

    def _default(self, parameter: inspect.Parameter) -> Any:
        if parameter.default is not parameter.empty:
            return parameter.default
        if parameter.kind is parameter.VAR_POSITIONAL:
            return ()
        if parameter.kind is parameter.VAR_KEYWORD:
            return {}
        raise ParameterError(
            f"{self._words()} needs a value for the parameter {parameter.name!r}.", loc=("parameters", parameter.name)
        )

    def call(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and named arguments that pass these values to the function."""
        if self._is_plain:
            return [values[name] for name in self._positional], {name: values[name] for name in self._named}
        arguments: list[Any] = []
        named: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            value = values[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                arguments.extend(value)
            elif parameter.kind is parameter.VAR_KEYWORD:
                named.update(value)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                named[name] = value
            else:
                arguments.append(value)
        return arguments, named

    def check(self, values: dict[str, Any], *, keep_equal: bool = False) -> dict[str, Any]:
        """Values converted to what the type hints ask for; defaults are taken as they are.

        With `keep_equal` a container that needed no conversion stays the caller's own object, not a copy.
        Raises ParameterError with one line that names each parameter that does not fit.
        """
        checked = dict(values)
        faults: list[str] = []
        first = ""
        for name, hint, default in self._checked():
            value = values[name]
            if value is default or (type(value) is hint and hint in PLAIN):
                continue
            try:
                converted = self._adapter(name, hint).validate_python(value)
                checked[name] = value if keep_equal and _same(converted, value) else converted
            except ValueError as error:  # pydantic's ValidationError is one
                first = first or name
                faults.extend(_faults(name, value, error))
        if faults:
            raise ParameterError(
                f"{self._words()} was given what does not fit: {'; '.join(faults)}.", ("parameters", first)
            )
        return checked

    def _checked(self) -> list[tuple[str, Any, Any]]:
        """Name, hint and default of each parameter whose values are checked."""
        if self._checks is None:
            taken = {name: self.signature.parameters[name] for name in self.hints}
            self._checks = [
                (name, self.hints[name], parameter.default)
                for name, parameter in taken.items()
                if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            ]
        return self._checks

    def _adapter(self, name: str, hint: Any) -> Any:
        if name not in self._adapters:
            self._adapters[name] = _adapter_for(hint)
        return self._adapters[name]

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the parameters, in the reference's shape (`parameter_openapi_schema`)."""
        properties: dict[str, Any] = {}
        definitions: dict[str, Any] = {}
        required: list[str] = []
        for position, (name, parameter) in enumerate(self.signature.parameters.items()):
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            entry = self._hint_schema(self.hints.get(name), definitions)
            entry["title"], entry["position"] = name, position
            if parameter.default is parameter.empty:
                required.append(name)
            else:
                entry["default"] = json_form(parameter.default)
            properties[name] = entry
        schema: dict[str, Any] = {"title": "Parameters", "type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return {**schema, "definitions": definitions}

    def _hint_schema(self, hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
        if hint is None:
            return {}
        try:
            found = _adapter_for(hint).json_schema(ref_template="#/definitions/{model}")
        except Exception:  # a type without a JSON form: anything goes
            return {}
        definitions.update(found.pop("$defs", {}))
        return {"allOf": [found]} if "$ref" in found else dict(found)

    def _words(self) -> str:
        return f"{getattr(self._function, '__name__', 'The function')}()"


def _same(converted: Any, value: Any) -> bool:
    """Whether checking a plain container changed nothing in it."""
    return type(value) in (list, dict, set) and type(converted) is type(value) and bool(converted == value)


def _adapter_for(hint: Any) -> Any:
    import pydantic  # loaded when a value needs it

    try:
        return pydantic.TypeAdapter(hint, config=pydantic.ConfigDict(arbitrary_types_allowed=True))
    except pydantic.errors.PydanticUserError:
        return pydantic.TypeAdapter(hint)  # models and dataclasses bring their own configuration


def _faults(name: str, value: Any, error: Any) -> list[str]:
    found = []
    for fault in error.errors(include_url=False):
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"])
        shown = repr(fault.get("input", value))
        found.append(f"{name}{place}: {fault['msg']} (got {shown if len(shown) <= 80 else shown[:77] + '...'})")
    return found


def json_form(value: Any) -> Any:
    """`value` as plain JSON values, for the API; what has no JSON form becomes its text."""
    import msgspec  # loaded when something is sent

    return msgspec.to_builtins(value, str_keys=True, enc_hook=_foreign)


def _foreign(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    text = repr(value)
    return text if len(text) <= 1000 else text[:997] + "..."
