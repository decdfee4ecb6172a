"""Parameters: binding, checking against hints with a message per parameter, JSON Schema, JSON form."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pydantic
import pytest

from headway.core.errors import ParameterError
from headway.sdk.parameters import Parameters, json_form


def sample(a: int, b: str = "x", *rest: int, c: float = 1.0, **more: Any) -> None: ...


def test_binding_gives_values_by_name_with_defaults() -> None:
    bound = Parameters(sample).bind((1,), {"z": 5})
    assert bound == {"a": 1, "b": "x", "rest": (), "c": 1.0, "more": {"z": 5}}


def test_bound_values_call_the_function_as_it_was_called() -> None:
    parameters = Parameters(sample)
    arguments, named = parameters.call(parameters.bind((1, "y", 2, 3), {"c": 2.0, "z": 5}))
    assert arguments == [1, "y", 2, 3]
    assert named == {"c": 2.0, "z": 5}


def test_a_missing_argument_is_named_with_the_signature() -> None:
    with pytest.raises(ParameterError, match=r"sample\(\): missing a required argument: 'a'.*It takes \(a"):
        Parameters(sample).bind((), {})


def test_values_are_converted_to_their_hints() -> None:
    def typed(n: int, day: datetime, where: Path) -> None: ...

    checked = Parameters(typed).check({"n": "5", "day": "2026-01-02T03:04:05Z", "where": "/x"})
    assert checked == {"n": 5, "day": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "where": Path("/x")}


def test_each_parameter_that_does_not_fit_is_named_in_one_line() -> None:
    def typed(n: int, items: list[int], free: Any) -> None: ...

    with pytest.raises(ParameterError) as caught:
        Parameters(typed).check({"n": "many", "items": [1, "two"], "free": object()})
    message = str(caught.value)
    assert "\n" not in message
    assert "n: Input should be a valid integer" in message
    assert "(got 'many')" in message
    assert "items[1]: Input should be a valid integer" in message
    assert "free" not in message


def test_a_container_that_fits_stays_the_callers_own_where_that_is_asked_for() -> None:
    def typed(items: list[int]) -> None: ...

    fits, converts = [1, 2], ["1"]
    assert Parameters(typed).check({"items": fits}, keep_equal=True)["items"] is fits
    assert Parameters(typed).check({"items": fits})["items"] is not fits
    assert Parameters(typed).check({"items": converts}, keep_equal=True)["items"] == [1]


def test_models_are_built_from_dicts() -> None:
    class Model(pydantic.BaseModel):
        x: int

    def typed(model: Model) -> None: ...

    assert Parameters(typed).check({"model": {"x": "3"}})["model"] == Model(x=3)


def test_defaults_are_taken_as_they_are() -> None:
    def typed(n: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert Parameters(typed).check({"n": None}) == {"n": None}


def test_a_type_pydantic_does_not_know_is_checked_by_isinstance() -> None:
    class Thing: ...

    def typed(thing: Thing) -> None: ...

    thing = Thing()
    assert Parameters(typed).check({"thing": thing})["thing"] is thing
    with pytest.raises(ParameterError, match="thing: Input should be an instance of"):
        Parameters(typed).check({"thing": 3})


def test_values_of_a_deployment_fill_in_defaults_and_refuse_unknown_names() -> None:
    def typed(a: int, b: int = 2) -> None: ...

    assert Parameters(typed).from_names({"a": 1}) == {"a": 1, "b": 2}
    with pytest.raises(ParameterError, match="has no parameter 'c'; it takes: a, b"):
        Parameters(typed).from_names({"a": 1, "c": 3})
    with pytest.raises(ParameterError, match="needs a value for the parameter 'a'"):
        Parameters(typed).from_names({})


def test_the_schema_has_types_defaults_positions_and_what_is_required() -> None:
    class Model(pydantic.BaseModel):
        x: int

    def typed(n: int, model: Model, s: str = "d", free=None) -> None: ...  # type: ignore[no-untyped-def]

    schema = Parameters(typed).schema()
    assert schema["required"] == ["n", "model"]
    assert schema["properties"]["n"] == {"type": "integer", "title": "n", "position": 0}
    assert schema["properties"]["s"] == {"type": "string", "title": "s", "position": 2, "default": "d"}
    assert schema["properties"]["free"] == {"title": "free", "position": 3, "default": None}
    assert "x" in str(schema["properties"]["model"]) or "Model" in schema["definitions"]


def test_any_value_has_a_json_form() -> None:
    @dataclass
    class Point:
        x: int

    class Strange:
        def __repr__(self) -> str:
            return "<strange>"

    form = json_form(
        {"p": Point(1), "t": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1), "s": Strange(), 1: Path("/x")}
    )
    assert form == {
        "p": {"x": 1},
        "t": "2026-01-01T00:00:00Z",
        "id": "00000000-0000-0000-0000-000000000001",
        "s": "<strange>",
        "1": "/x",
    }
