"""Every struct of the wire survives being encoded and decoded, with all fields set and with the fewest."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import inspect

from headway import wire
from headway.wire.base import decode, encode
from headway.wire.schedules import Schedule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("7b1f3ab2-6f14-4c34-9b3e-8e4d0b3b1a11")
PLAIN: dict[type[inspect.Type], Any] = {
    inspect.AnyType: {"any": ["thing", 1, None]},
    inspect.NoneType: None,
    inspect.BoolType: True,
    inspect.FloatType: 2.5,
    inspect.StrType: "text",
    inspect.DateTimeType: NOON,
    inspect.UUIDType: ID,
    inspect.RawType: msgspec.Raw(b'{"raw":1}'),
}


def structs() -> list[Any]:
    found = {}
    for module in pkgutil.iter_modules(wire.__path__):
        for value in vars(importlib.import_module(f"headway.wire.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__.startswith("headway"):
                found[value.__name__] = value
    return [pytest.param(value, id=name) for name, value in sorted(found.items())]


def sample(type: inspect.Type, full: bool) -> Any:
    """A value of a type; of a union the first member that says something."""
    if type.__class__ in PLAIN:
        return PLAIN[type.__class__]
    match type:
        case inspect.IntType():
            return max(type.ge or 0, (type.gt or 0) + 1, 3 if type.le is None else min(3, type.le))
        case inspect.ListType() | inspect.VarTupleType():
            return [sample(type.item_type, full)]
        case inspect.TupleType():
            return tuple(sample(item, full) for item in type.item_types)
        case inspect.DictType():
            return {"key": sample(type.value_type, full)}
        case inspect.EnumType():
            return next(iter(type.cls))
        case inspect.LiteralType():
            return type.values[0]
        case inspect.UnionType():
            return sample(next(member for member in type.types if not isinstance(member, inspect.NoneType)), full)
        case inspect.StructType():
            return made(type.cls, full)
    raise AssertionError(f"no sample for {type}")


def made(struct: type[msgspec.Struct], full: bool) -> Any:
    if struct is Schedule:
        return Schedule(cron="0 3 * * *", timezone="Europe/Paris", day_or=False) if full else Schedule(interval=60.0)
    fields = inspect.type_info(struct).fields  # type: ignore[attr-defined]
    return struct(**{field.name: sample(field.type, full) for field in fields if full or field.required})


@pytest.mark.parametrize("struct", structs())
def test_a_struct_survives_the_wire(struct: type[msgspec.Struct]) -> None:
    for full in (True, False):
        value = made(struct, full)
        again = decode(encode(value), struct)
        assert encode(again) == encode(value)
        assert again == value or any(isinstance(getattr(value, name), msgspec.Raw) for name in struct.__struct_fields__)


def test_there_are_as_many_structs_as_the_contract_needs() -> None:
    assert len(structs()) > 120
