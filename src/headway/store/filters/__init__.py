"""The /filter compiler: nested filter dictionaries to SQL conditions.

`filters` is a decoded /filter body as builtins (ids UUID, times datetime): resource → field → operator →
value, with `operator: "or_"` wherever criteria are to be joined by or. None filters nothing.
Everything that is particular to a resource stands in fields.py, to an operator in operators.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, exists, func, or_, select, true

from headway.core.errors import Invalid
from headway.store.filters.fields import EDGES, FIELDS, REACH, SCOPES, SORTS, Fields, Reach
from headway.store.filters.operators import OPERATORS, Field

__all__ = ["Filters", "conditions", "select_count", "select_page"]

Filters = Mapping[str, Any]
Condition = ColumnElement[bool]


def select_page(
    table: Table, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
) -> Select[Any]:
    """The rows of `table` that pass, sorted by a wire sort name (None: the resource's default)."""
    statement = select(table).where(conditions(table, filters)).order_by(*order(table, sort))
    if limit is not None:
        statement = statement.limit(limit)
    return statement.offset(offset) if offset else statement


def select_count(table: Table, filters: Filters) -> Select[Any]:
    """How many rows of `table` pass."""
    return select(func.count()).select_from(table).where(conditions(table, filters))


def conditions(table: Table, filters: Filters) -> Condition:
    """One condition on `table` that is true for the rows that pass every filter given."""
    given: dict[Table, list[Mapping[str, Any]]] = {}
    for scope, filter in filters.items():
        if filter is None:
            continue
        if scope not in SCOPES:
            raise Invalid(f"'{scope}' cannot be filtered by; expected one of {', '.join(SCOPES)}.", ("body", scope))
        given.setdefault(SCOPES[scope], []).append(filter)
    return _passes(table, REACH.get(table, {}), given)


def order(table: Table, sort: str | None) -> tuple[ColumnElement[Any], ...]:
    sorts = SORTS[table]
    if sort is None:
        return next(iter(sorts.values()))
    if sort not in sorts:
        raise Invalid(f"'{sort}' is not a sort order here; expected one of {', '.join(sorts)}.", ("body", "sort"))
    return sorts[sort]


def _passes(table: Table, reach: Reach, given: Mapping[Table, list[Mapping[str, Any]]]) -> Condition:
    """The filters on the table itself, and an EXISTS for each table in reach that is narrowed by one."""
    parts = [_joined(FIELDS[table], filter) for filter in given.get(table, ())]
    for other, further in reach.items():
        if _touches(other, further, given):
            inner = and_(EDGES[frozenset({table, other})], _passes(other, further, given))
            parts.append(exists().select_from(other).where(inner).correlate(table))
    return and_(true(), *parts)


def _touches(table: Table, reach: Reach, given: Mapping[Table, Any]) -> bool:
    return table in given or any(_touches(other, further, given) for other, further in reach.items())


def _joined(fields: Fields, criteria: Mapping[str, Any]) -> Condition:
    """The criteria on some fields, joined by their `operator`."""
    parts = [_criterion(fields, name, value) for name, value in _said(criteria)]
    if not parts:
        return true()
    return or_(*parts) if criteria.get("operator") == "or_" else and_(*parts)


def _criterion(fields: Fields, name: str, value: Mapping[str, Any]) -> Condition:
    if name not in fields:
        raise Invalid(f"'{name}' cannot be filtered by; expected one of {', '.join(fields)}.", ("body", name))
    field = fields[name]
    return _compared(field, value) if isinstance(field, Field) else _joined(field, value)


def _compared(field: Field, criteria: Mapping[str, Any]) -> Condition:
    """The operators on one field, joined by their `operator`."""
    meanings = OPERATORS[field.kind]
    parts = [meanings[name](field, value) for name, value in _said(criteria)]
    if not parts:
        return true()
    return or_(*parts) if criteria.get("operator") == "or_" else and_(*parts)


def _said(criteria: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in criteria.items() if name != "operator" and value is not None]
