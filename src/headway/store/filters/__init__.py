"""The /filter compiler: nested filter dictionaries to SQL conditions.

`filters` is a decoded /filter body as builtins (ids UUID, times datetime): resource → field → operator →
value, with `operator: "or_"` wherever criteria are to be joined by or. None filters nothing.
Everything that is particular to a resource stands in fields.py, to an operator in operators.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, UnaryExpression, and_, exists, func, or_, select, true
from sqlalchemy.sql.operators import custom_op

from headway.core.errors import Invalid
from headway.store.filters.fields import EDGES, FIELDS, LINKS, REACH, SCOPES, SORTS, Fields, Reach
from headway.store.filters.operators import OPERATORS, Field
from headway.store.tables import flow_run, flow_run_tally, live_run

__all__ = ["COUNTED", "Filters", "conditions", "kept_off", "order", "select_count", "select_page"]

Filters = Mapping[str, Any]
Condition = ColumnElement[bool]

COUNTED = (flow_run_tally, live_run)
"""Tables that have the runs of flow_run by some of their columns."""

_AS_IT_IS: custom_op[Any] = custom_op("+")


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


def conditions(table: Table, filters: Filters, *, unindexed: Set[str] = frozenset()) -> Condition:
    """One condition on `table` that is true for the rows that pass every filter given.

    `unindexed`: columns of `table` by which SQLite is not to look rows up, because another way in is better.
    """
    given: dict[Table, list[Mapping[str, Any]]] = {}
    for scope, filter in filters.items():
        if filter is None:
            continue
        if scope not in SCOPES:
            raise Invalid(f"'{scope}' cannot be filtered by; expected one of {', '.join(SCOPES)}.", ("body", scope))
        # A table that flow runs are counted by takes their filter.
        target = table if SCOPES[scope] is flow_run and table in COUNTED else SCOPES[scope]
        given.setdefault(target, []).append(filter)
    return _passes(table, REACH.get(table, {}), given, unindexed)


def order(table: Table, sort: str | None) -> tuple[ColumnElement[Any], ...]:
    sorts = SORTS[table]
    if sort is None:
        return next(iter(sorts.values()))
    if sort not in sorts:
        raise Invalid(f"'{sort}' is not a sort order here; expected one of {', '.join(sorts)}.", ("body", "sort"))
    return sorts[sort]


def _passes(
    table: Table, reach: Reach, given: Mapping[Table, list[Mapping[str, Any]]], unindexed: Set[str] = frozenset()
) -> Condition:
    """The filters on the table itself, and what each table in reach that is narrowed by one lets through."""
    parts = [_joined(FIELDS[table], filter, unindexed) for filter in given.get(table, ())]
    for other, further in reach.items():
        if not _touches(other, further, given):
            continue
        passing = _passes(other, further, given)
        if (link := LINKS.get((table, other))) is not None:  # asked once, not once per row
            parts.append(kept_off(link, unindexed).in_(select(other.c.id).where(passing)))
        else:
            inner = and_(EDGES[frozenset({table, other})], passing)
            parts.append(exists().select_from(other).where(inner).correlate(table))
    return and_(true(), *parts)


def _touches(table: Table, reach: Reach, given: Mapping[Table, Any]) -> bool:
    return table in given or any(_touches(other, further, given) for other, further in reach.items())


def _joined(fields: Fields, criteria: Mapping[str, Any], unindexed: Set[str] = frozenset()) -> Condition:
    """The criteria on some fields, joined by their `operator`."""
    parts = [_criterion(fields, name, value, unindexed) for name, value in _said(criteria)]
    if not parts:
        return true()
    return or_(*parts) if criteria.get("operator") == "or_" else and_(*parts)


def _criterion(fields: Fields, name: str, value: Mapping[str, Any], unindexed: Set[str]) -> Condition:
    if name not in fields:
        raise Invalid(f"'{name}' cannot be filtered by; expected one of {', '.join(fields)}.", ("body", name))
    field = fields[name]
    if not isinstance(field, Field):
        return _joined(field, value, unindexed)
    columns = tuple(kept_off(column, unindexed) for column in field.columns)
    return _compared(replace(field, columns=columns) if unindexed else field, value)


def kept_off(column: ColumnElement[Any], unindexed: Set[str]) -> ColumnElement[Any]:
    """The same value under another name to SQLite's planner, if no index on it is to be used."""
    if isinstance(column, Column) and column.name in unindexed:
        return UnaryExpression(column, operator=_AS_IT_IS, type_=column.type)
    return column


def _compared(field: Field, criteria: Mapping[str, Any]) -> Condition:
    """The operators on one field, joined by their `operator`."""
    meanings = OPERATORS[field.kind]
    parts = [meanings[name](field, value) for name, value in _said(criteria)]
    if not parts:
        return true()
    return or_(*parts) if criteria.get("operator") == "or_" else and_(*parts)


def _said(criteria: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in criteria.items() if name != "operator" and value is not None]
