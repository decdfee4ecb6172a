"""What each operator of the /filter grammar means, by kind of field.

An operator takes a `Field` and the value the client gave and returns a condition. As in the reference,
SQL's NULL passes no operator but `is_null_`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, not_, or_, true

from headway.store.filters.search import parse_search
from headway.store.filters.sql import contains_term, has_any_element, has_elements, like_any, member

__all__ = ["OPERATORS", "Field", "Kind"]


class Kind(Enum):
    VALUE = "one value: text, number, time, id or boolean"
    TAGS = "a JSON array of texts"
    CREATOR = "a JSON object with id and type"
    EXISTENCE = "a condition of its own, e.g. whether something related exists"


@dataclass(frozen=True, slots=True)
class Field:
    """A row of the table: what to compare (any of `columns` may match), of which `table`, and its kind."""

    table: Table
    columns: tuple[ColumnElement[Any], ...]
    kind: Kind = Kind.VALUE
    indexed: ColumnElement[Any] | None = None
    """What an index has instead: it is the column's value wherever that is not NULL."""

    @property
    def column(self) -> ColumnElement[Any]:
        return self.columns[0]


Condition = ColumnElement[bool]
Meaning = Callable[[Field, Any], Condition]


def found(field: Field, text: str) -> Condition:
    search = parse_search(text)
    any_of = [contains_term(field.columns, term) for term in search.include]
    none_of = [not_(contains_term(field.columns, term)) for term in search.exclude]
    all_of = [contains_term(field.columns, term) for term in search.require]
    return and_(true(), *([or_(*any_of)] if any_of else []), *none_of, *all_of)


def starts(field: Field, prefixes: list[str]) -> Condition:
    return or_(*(like_any(field.columns, f"{prefix}%") for prefix in prefixes)) if prefixes else true()


def has_all(field: Field, tags: list[str]) -> Condition:
    return and_(true(), *(has_any_element(field.column, field.table, [tag]) for tag in tags))


def has_none(field: Field, wanted: bool) -> Condition:
    return not_(has_elements(field.column, field.table)) if wanted else has_elements(field.column, field.table)


def at_least(field: Field, value: Any) -> Condition:
    return and_(*(column >= value for column in _bounded(field)))


def at_most(field: Field, value: Any) -> Condition:
    return and_(*(column <= value for column in _bounded(field)))


def _bounded(field: Field) -> list[ColumnElement[Any]]:
    return [field.column] if field.indexed is None else [field.indexed, field.column]


def is_null(field: Field, wanted: bool) -> Condition:
    return field.column.is_(None) if wanted else field.column.is_not(None)


OPERATORS: Mapping[Kind, Mapping[str, Meaning]] = {
    Kind.VALUE: {
        "any_": lambda field, values: field.column.in_(values),
        "not_any_": lambda field, values: field.column.not_in(values),
        "eq_": lambda field, value: field.column == value,
        "ge_": lambda field, value: field.column >= value,
        "le_": lambda field, value: field.column <= value,
        "after_": at_least,
        "before_": at_most,
        "like_": lambda field, text: like_any(field.columns, f"%{text}%"),
        "startswith_": starts,
        "query": found,
        "is_null_": is_null,
    },
    Kind.TAGS: {
        "all_": has_all,
        "any_": lambda field, tags: has_any_element(field.column, field.table, tags),
        "is_null_": has_none,
    },
    Kind.CREATOR: {
        "id_": lambda field, ids: member(field.column, "id").in_([str(id) for id in ids]),
        "type_": lambda field, types: member(field.column, "type").in_(types),
        "is_null_": is_null,
    },
    Kind.EXISTENCE: {
        "exists_": lambda field, wanted: field.column if wanted else not_(field.column),
        "is_null_": lambda field, wanted: not_(field.column) if wanted else field.column,
    },
}
"""Kind of field → operator → meaning. A new operator is a new line here."""
