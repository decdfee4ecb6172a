"""The /filter compiler against a naive filter in Python, and against the reference's list of operators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Connection, create_engine, insert, select
from sqlalchemy.dialects import postgresql

from headway.core.errors import Invalid
from headway.store.filters import COUNTED, conditions, select_count, select_page
from headway.store.filters.fields import FIELDS, REACH, SCOPES, SORTS
from headway.store.filters.search import TextSearch, parse_search
from headway.store.tables import flow, flow_run, metadata, task_run, telemetry
from headway.testing.filter_walk import MODELS, questions
from headway.testing.filter_world import World, build_world
from headway.testing.naive_filter import NaiveFilter
from headway.wire import filters as wire_filters

REFERENCE = Path(__file__).parents[2] / "contract" / "reference" / "openapi-3.8.8.json"
TABLES = {**metadata.tables, **telemetry.tables}
SCOPE_OF = {table.name: scope for scope, table in reversed(SCOPES.items())}
WORLD = build_world()
SCHEMAS = json.loads(REFERENCE.read_text())["schemas"]
QUESTIONS = list(questions(SCHEMAS, WORLD))


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    telemetry.create_all(engine)
    with engine.connect() as connection:
        for name, rows in WORLD.rows.items():
            for row in rows:
                connection.execute(insert(TABLES[name]), row)
        yield connection
    engine.dispose()


def decoded(table: str, filter: dict[str, Any]) -> Any:
    """A filter as the wire hands it on."""
    model = getattr(wire_filters, MODELS[table])
    return msgspec.to_builtins(msgspec.convert(filter, model), builtin_types=(UUID, datetime))


def ids(connection: Connection, table: str, filters: dict[str, Any]) -> set[Any]:
    chosen = TABLES[table]
    return set(connection.execute(select(chosen.c.id).where(conditions(chosen, filters))).scalars())


def test_every_operator_of_the_reference_is_asked() -> None:
    walked = {question.key for question in QUESTIONS}
    assert {model for model, _, _ in walked} == set(MODELS.values())
    assert len(walked) > 100


def test_the_world_has_at_least_twenty_rows_of_everything() -> None:
    assert {name: len(rows) >= 20 for name, rows in WORLD.rows.items()} == dict.fromkeys(WORLD.rows, True)


def test_most_questions_tell_rows_apart() -> None:
    naive = NaiveFilter(WORLD)
    found = [len(naive.ids(q.table, {SCOPE_OF[q.table]: q.filter})) for q in QUESTIONS]
    telling = sum(0 < count < len(WORLD[q.table]) for count, q in zip(found, QUESTIONS, strict=True))
    assert telling / len(QUESTIONS) > 0.8


@pytest.mark.parametrize("table", MODELS)
def test_each_operator_finds_what_the_naive_filter_finds(connection: Connection, table: str) -> None:
    naive = NaiveFilter(WORLD)
    for question in (q for q in QUESTIONS if q.table == table):
        expected = naive.ids(table, {SCOPE_OF[table]: question.filter})
        assert ids(connection, table, {SCOPE_OF[table]: decoded(table, question.filter)}) == expected, question


@pytest.mark.parametrize("root", [table.name for table in REACH if table not in COUNTED])
def test_each_operator_narrows_each_related_resource(connection: Connection, root: str) -> None:
    naive = NaiveFilter(WORLD)
    asked = 0
    for question in QUESTIONS:
        scope = "work_pool_queues" if question.table == "work_queue" else SCOPE_OF[question.table]
        if question.table in ("worker", "log"):
            continue
        expected = naive.ids(root, {scope: question.filter})
        assert ids(connection, root, {scope: decoded(question.table, question.filter)}) == expected, (root, question)
        asked += 1
    assert asked > 100


@pytest.mark.parametrize("root", [table.name for table in REACH if table not in COUNTED])
def test_filters_on_several_resources_are_joined(connection: Connection, root: str) -> None:
    naive = NaiveFilter(WORLD)
    scoped = [
        {"flow_runs": {"tags": {"any_": ["red", "green"]}}, "task_runs": {"tags": {"all_": ["blue"]}}},
        {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}}, "flows": {"name": {"like_": "load"}}},
        {"deployments": {"paused": {"eq_": False}}, "work_pools": {"type": {"any_": ["process"]}}},
        {"work_pools": {"type": {"any_": ["process"]}}, "work_pool_queues": {"name": {"startswith_": ["line"]}}},
    ]
    for filters in scoped:
        assert ids(connection, root, filters) == naive.ids(root, filters), filters


def test_pages_in_every_sort_order_hold_each_row_once(connection: Connection) -> None:
    for table, sorts in SORTS.items():
        everything = set(connection.execute(select(table.c.id)).scalars())
        for sort in sorts:
            pages = [
                connection.execute(select_page(table, {}, sort=sort, limit=7, offset=start)).mappings().all()
                for start in range(0, len(everything), 7)
            ]
            found = [row["id"] for page in pages for row in page]
            assert len(found) == len(set(found)), (table.name, sort)
            assert set(found) == everything


def test_sorting_by_name_and_by_end_time_puts_open_runs_last(connection: Connection) -> None:
    by_name = connection.execute(select_page(flow, {}, sort="NAME_DESC")).mappings().all()
    assert [row["name"] for row in by_name] == sorted((row["name"] for row in WORLD["flow"]), reverse=True)
    by_end = connection.execute(select_page(flow_run, {}, sort="END_TIME_DESC")).mappings().all()
    ended = [row["end_time"] for row in by_end if row["end_time"]]
    assert ended == sorted(ended, reverse=True)
    assert all(row["end_time"] is None for row in by_end[len(ended) :])


def test_count_counts_what_the_filter_finds(connection: Connection) -> None:
    filters = {"flow_runs": {"tags": {"is_null_": True}}}
    count = connection.execute(select_count(task_run, filters)).scalar_one()
    assert count == len(NaiveFilter(WORLD).ids("task_run", filters)) > 0


def test_null_scopes_and_null_operators_filter_nothing(connection: Connection) -> None:
    everything = {row["id"] for row in WORLD["flow_run"]}
    filters = {"flows": None, "flow_runs": {"operator": "or_", "name": {"any_": None}, "id": {}}}
    assert ids(connection, "flow_run", filters) == everything


@pytest.mark.parametrize(
    ("filters", "sort", "named"),
    [({"flowers": {}}, None, "flowers"), ({"flows": {"colour": {}}}, None, "colour"), ({}, "SIZE_ASC", "SIZE_ASC")],
)
def test_what_cannot_be_filtered_or_sorted_by_is_named(filters: dict[str, Any], sort: str | None, named: str) -> None:
    with pytest.raises(Invalid, match=named):
        select_page(flow, filters, sort=sort)


def test_every_question_compiles_for_postgresql_too() -> None:
    for question in QUESTIONS:
        table = TABLES[question.table]
        sql = str(conditions(table, {SCOPE_OF[question.table]: question.filter}).compile(dialect=postgresql.dialect()))
        assert "json_each" not in sql
        assert "json_extract" not in sql


def test_every_field_in_the_table_is_one_of_the_reference() -> None:
    for table, fields in FIELDS.items():
        if table in COUNTED:
            assert set(fields) <= set(FIELDS[flow_run])
            continue
        assert set(fields) == set(SCHEMAS[MODELS[table.name]]["properties"]) - {"operator"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("error timeout", TextSearch(include=("error", "timeout"))),
        ('error -debug !trace +disk "lost connection"',
         TextSearch(("error", "lost connection"), ("debug", "trace"), ("disk",))),
        ('-"two words" "never closed', TextSearch(("never closed",), ("two words",))),
        (r'"say \"hi\""', TextSearch(('say "hi"',))),
        ("  - + ", TextSearch()),
    ],
)  # fmt: skip
def test_text_search_reads_words_phrases_and_signs(query: str, expected: TextSearch) -> None:
    assert parse_search(query) == expected


def test_the_world_is_the_same_every_time() -> None:
    again: World = build_world()
    assert again.rows == WORLD.rows
