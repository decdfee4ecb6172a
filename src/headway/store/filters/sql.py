"""The few SQL pieces that the two databases spell differently, and predicates built on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, String, Table, Text, and_, exists, false, or_, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from headway.store.types import to_json

__all__ = ["contains_term", "has_any_element", "has_elements", "like_any", "member"]

Columns = tuple[ColumnElement[Any], ...]


class elements(FunctionElement[Any]):
    """The elements of a JSON array as rows with one column, `value`."""

    name = "elements"
    inherit_cache = True


class member(FunctionElement[str]):
    """member(column, key): one member of a JSON object as text, NULL if it is not there."""

    name = "member"
    type = String()
    inherit_cache = True


class mentions(FunctionElement[bool]):
    """mentions(column, text): whether the column's JSON can contain the JSON `text`; true where that is not cheap."""

    name = "mentions"
    type = Boolean()
    inherit_cache = True


@compiles(mentions)
def _mentions(element: mentions, compiler: SQLCompiler, **options: Any) -> str:
    column, text = element.clauses
    return f"instr({compiler.process(column, **options)}, {compiler.process(text, **options)}) > 0"


@compiles(mentions, "postgresql")
def _mentions_postgresql(element: mentions, compiler: SQLCompiler, **options: Any) -> str:
    # differs because PostgreSQL keeps JSON parsed: there is no text to look into.
    return "true"


@compiles(elements)
def _elements(element: elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(elements, "postgresql")
def _elements_postgresql(element: elements, compiler: SQLCompiler, **options: Any) -> str:
    # differs because PostgreSQL has a function per JSON type, SQLite one for all.
    return f"jsonb_array_elements_text({compiler.process(element.clauses, **options)})"


@compiles(member)
def _member(element: member, compiler: SQLCompiler, **options: Any) -> str:
    column, key = element.clauses
    path = f"'$.' || {compiler.process(key, **options)}"
    return f"json_extract({compiler.process(column, **options)}, {path})"


@compiles(member, "postgresql")
def _member_postgresql(element: member, compiler: SQLCompiler, **options: Any) -> str:
    # differs because SQLite takes a path, PostgreSQL a key.
    column, key = element.clauses
    return f"({compiler.process(column, **options)} ->> {compiler.process(key, **options)})"


def has_elements(array: ColumnElement[Any], table: Table) -> ColumnElement[bool]:
    """The JSON array has at least one element."""
    return exists().select_from(elements(array).table_valued("value")).correlate(table)


def has_any_element(array: ColumnElement[Any], table: Table, values: Iterable[str]) -> ColumnElement[bool]:
    """The JSON array of texts has at least one of these."""
    wanted = list(values)
    each = elements(array).table_valued("value")
    # On SQLite it costs several times more to take an array apart than to see that it cannot be it.
    possible = or_(false(), *(mentions(type_coerce(array, Text), to_json(value)) for value in wanted))
    return and_(possible, exists().select_from(each).where(each.c.value.in_(wanted)).correlate(table))


def like_any(columns: Columns, pattern: str) -> ColumnElement[bool]:
    """Any of the columns is like the pattern, in any case."""
    return or_(false(), *(column.ilike(pattern) for column in columns))


def contains_term(columns: Columns, term: str) -> ColumnElement[bool]:
    """Any of the columns contains the text as it stands, in any case."""
    return or_(false(), *(column.icontains(term, autoescape=True) for column in columns))
