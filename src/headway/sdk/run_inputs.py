"""Typed input of paused runs. A plain type (int, str, …) travels as {"value": …}. This module loads pydantic."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import pydantic

from headway.core.errors import ParameterError

__all__ = ["InputType", "RunInput"]


class RunInput(pydantic.BaseModel):
    """Base for the input a paused flow waits for: fields with types, shown as a form."""

    @classmethod
    def with_initial_data(cls, description: str | None = None, **initial: Any) -> type[Self]:
        """The same type with other defaults, and a text that says what is asked for."""
        fields: Any = {name: (cls.model_fields[name].annotation, value) for name, value in initial.items()}
        made = pydantic.create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, **fields)
        made.__run_input_description__ = description  # type: ignore[attr-defined]
        return made


class InputType:
    """What a pause waits for: its JSON Schema, and the way from an answer to a value."""

    def __init__(self, wanted: Any) -> None:
        whole = isinstance(wanted, type) and (
            issubclass(wanted, pydantic.BaseModel) or dataclasses.is_dataclass(wanted) or hasattr(wanted, "__total__")
        )
        self.wrapped = not whole
        model: Any = wanted if whole else pydantic.create_model("Input", value=(wanted, ...))
        self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(model)
        self.description: str | None = getattr(wanted, "__run_input_description__", None)

    def schema(self) -> dict[str, Any]:
        return self._adapter.json_schema(ref_template="#/definitions/{model}")

    def load(self, given: Any) -> Any:
        """The typed value of an answer. Raises ParameterError naming what does not fit."""
        try:
            value = self._adapter.validate_python(given)
        except pydantic.ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'input'}: {f['msg']}" for f in error.errors())
            raise ParameterError(f"The input given on resuming does not fit: {faults}.") from None
        return value.value if self.wrapped else value
