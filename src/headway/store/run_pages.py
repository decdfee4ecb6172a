"""Pages and counts of flow runs, at the same price for a thousand runs and for a million.

A page is two statements: the ids of its runs, found by an index alone, and then those runs with what belongs to
them. Names of deployments and flows are turned into ids before, so that an index on ids in the wanted order can be
walked. SQLite, which knows nothing of how many rows a condition leaves, is told by which index to go
(`_kept_from`); PostgreSQL's statistics know. Counting adds up `flow_run_tally` and `live_run` where these
know what is asked by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from headway.store.filters import Filters, conditions, kept_off, order
from headway.store.hot import Hot
from headway.store.protocols import RawRun
from headway.store.tables import deployment, flow, flow_run, flow_run_tally, live_run

__all__ = ["count", "page", "runs_by_id"]

_MOST_IDS = 50
_PLACES = ("deployments", "flows", "work_pools", "work_queues", "work_pool_queues")
_COUNTED_FIELDS = frozenset({"operator", "state", "deployment_id"})
_ORDERED_PLACES = (
    "START_TIME_ASC",
    "START_TIME_DESC",
    "EXPECTED_START_TIME_ASC",
    "EXPECTED_START_TIME_DESC",
)
_ORDERED_STATES = ("EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")
_ELSEWHERE = 10
"""So many times more rows than hoped are walked over when there are conditions that nothing is known about."""


def page(connection: Connection, filters: Filters, sort: str | None, limit: int, offset: int) -> list[RawRun]:
    """The runs that pass, in the order of a wire sort name."""
    narrowed = _with_ids(connection, filters)
    kept_from = _kept_from(connection, narrowed, sort, limit + offset)
    passing = select(flow_run.c.id).where(_condition(narrowed, kept_from))
    chosen = passing.order_by(*order(flow_run, sort)).limit(limit)
    ids = connection.execute(chosen.offset(offset) if offset else chosen).scalars().all()
    return runs_by_id(connection, ids)


def runs_by_id(connection: Connection, ids: Sequence[UUID]) -> list[RawRun]:
    """The runs of these ids, in their order; unknown ones are left out."""
    hot = Hot(connection)
    return hot.rows("run_page", ids=hot.codec.ids(ids)) if ids else []


def count(connection: Connection, filters: Filters) -> int:
    """How many runs pass."""
    if _is_counted(filters):
        return _counted(connection, filters)
    narrowed = _with_ids(connection, filters)
    condition = _condition(narrowed, _kept_from(connection, narrowed, None, None))
    return int(connection.execute(select(func.count()).select_from(flow_run).where(condition)).scalar_one())


# --- what is asked, in ids ---


def _with_ids(connection: Connection, filters: Filters) -> dict[str, Any]:
    """The same filters, those on deployments and flows as the few ids that pass them, if they are few."""
    narrowed = dict(filters)
    for scope, table, column in (("deployments", deployment, "deployment_id"), ("flows", flow, "flow_id")):
        if narrowed.get(scope) is None:
            continue
        passing = select(table.c.id).where(conditions(table, {scope: narrowed[scope]}))
        ids = connection.execute(passing.limit(_MOST_IDS + 1)).scalars().all()
        if len(ids) <= _MOST_IDS:
            del narrowed[scope]
            narrowed[column] = ids
    return narrowed


def _condition(narrowed: Mapping[str, Any], kept_from: frozenset[str]) -> Any:
    filters = {scope: filter for scope, filter in narrowed.items() if scope not in ("deployment_id", "flow_id")}
    parts = [conditions(flow_run, filters, unindexed=kept_from)]
    for column in ("deployment_id", "flow_id"):
        if column in narrowed:
            parts.append(_among(kept_off(flow_run.c[column], kept_from), narrowed[column]))
    return and_(*parts)


def _among(column: ColumnElement[Any], ids: Sequence[UUID]) -> Any:
    return column == ids[0] if len(ids) == 1 else column.in_(ids)


# --- which way in ---


def _kept_from(
    connection: Connection, narrowed: Mapping[str, Any], sort: str | None, wanted: int | None
) -> frozenset[str]:
    """The columns by which SQLite shall not look for runs, because fewer rows are looked at another way.

    Either all runs are walked in the wanted order until `wanted` (None: all) have passed, or the runs of some
    deployments, flows or states are looked at and sorted. The tally says how many that would be.
    """
    own = narrowed.get("flow_runs") or {}
    known = {name: own[name] for name in ("state", "deployment_id") if own.get(name) and own.get("operator") != "or_"}
    places = [name for name in _PLACES if narrowed.get(name) is not None]
    ways = {"deployment_id": "deployment_id" in known or "deployments" in places, "flow_id": "flows" in places}
    way = next((column for column in ("deployment_id", "flow_id") if column in narrowed or ways[column]), None)
    if connection.dialect.name != "sqlite" or (way is None and "state" not in known):
        return frozenset()
    place = _tallied(
        narrowed, {**{name: narrowed[name] for name in places}, "flow_runs": _only("deployment_id", known)}
    )
    state = _tallied({}, {"flow_runs": _only("state", known)})
    total, at_place, in_state, both = (
        int(runs or 0) + 1 for runs in connection.execute(_sums(place, state, and_(place, state))).one()
    )
    others = {name for name, value in own.items() if value is not None} - _COUNTED_FIELDS
    unknown = _ELSEWHERE if others or narrowed.get("task_runs") or own.get("operator") == "or_" else 1

    def walked(rows: int) -> float:
        return rows if wanted is None else min(rows, unknown * wanted * rows / both)

    costs = {"": walked(total) if wanted is not None else float("inf")}
    if way is not None:
        in_order = sort in _ORDERED_PLACES and len(narrowed.get("deployment_id", ())) == 1
        costs[way] = walked(at_place) if in_order else float(at_place)
    if "state" in known:
        costs["state_type"] = walked(in_state) if sort in _ORDERED_STATES else float(in_state)
    best = min(costs, key=lambda column: costs[column])
    return frozenset({"deployment_id", "flow_id", "work_queue_id", "state_type"} - {best})


def _only(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: known[name]} if name in known else {}


def _tallied(narrowed: Mapping[str, Any], filters: Filters) -> Any:
    ids = [_among(flow_run_tally.c[name], narrowed[name]) for name in ("deployment_id", "flow_id") if name in narrowed]
    return and_(conditions(flow_run_tally, filters), *ids)


def _sums(*passing: Any) -> Any:
    runs = flow_run_tally.c.runs
    return select(func.sum(runs), *(func.sum(case((condition, runs), else_=0)) for condition in passing))


# --- counting without looking at runs ---


def _is_counted(filters: Filters) -> bool:
    """Whether the tally and live_run know everything that is asked by."""
    own = filters.get("flow_runs") or {}
    fields = {name for name, value in own.items() if value is not None}
    return filters.get("task_runs") is None and fields <= _COUNTED_FIELDS


def _counted(connection: Connection, filters: Filters) -> int:
    # In one statement: a run that ends between two would be counted twice or not at all on PostgreSQL.
    ended = select(func.coalesce(func.sum(flow_run_tally.c.runs), 0)).where(conditions(flow_run_tally, filters))
    living = select(func.count()).select_from(live_run).where(conditions(live_run, filters))
    both = select(ended.scalar_subquery(), living.scalar_subquery())
    return sum(int(number) for number in connection.execute(both).one())
