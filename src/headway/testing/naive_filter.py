"""The /filter grammar once more, row by row in plain Python: what stores and servers are compared with.

It shares no code with the compiler on purpose. Semantics: CONTRACT §1.2 and the reference's OpenAPI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.testing.filter_world import World

__all__ = ["NaiveFilter"]

Row = Mapping[str, Any]
Criteria = Mapping[str, Any]


def null_safe(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda actual, wanted: actual is not None and compare(actual, wanted)


def ilike(text: str, wanted: str) -> bool:
    return wanted.lower() in text.lower()


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "any_": null_safe(lambda actual, wanted: actual in wanted),
    "not_any_": null_safe(lambda actual, wanted: actual not in wanted),
    "eq_": null_safe(lambda actual, wanted: actual == wanted),
    "ge_": null_safe(lambda actual, wanted: actual >= wanted),
    "le_": null_safe(lambda actual, wanted: actual <= wanted),
    "after_": null_safe(lambda actual, wanted: actual >= wanted),
    "before_": null_safe(lambda actual, wanted: actual <= wanted),
    "like_": null_safe(ilike),
    "startswith_": null_safe(lambda actual, wanted: any(actual.lower().startswith(w.lower()) for w in wanted)),
    "query": null_safe(ilike),
    "is_null_": lambda actual, wanted: (actual is None) == wanted,
    "exists_": lambda actual, wanted: bool(actual) == wanted,
}
COMPARE_TAGS: dict[str, Callable[[Any, Any], bool]] = {
    "all_": lambda actual, wanted: set(wanted) <= set(actual),
    "any_": lambda actual, wanted: bool(set(wanted) & set(actual)),
    "is_null_": lambda actual, wanted: (not actual) == wanted,
}
COMPARE_CREATOR: dict[str, Callable[[Any, Any], bool]] = {
    "id_": null_safe(lambda actual, wanted: actual["id"] in [str(id) for id in wanted]),
    "type_": null_safe(lambda actual, wanted: actual["type"] in wanted),
    "is_null_": lambda actual, wanted: (actual is None) == wanted,
}


def said(criteria: Criteria) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in criteria.items() if name != "operator" and value is not None]


def join(criteria: Criteria, results: list[bool]) -> bool:
    if not results:
        return True
    return any(results) if criteria.get("operator") == "or_" else all(results)


class NaiveFilter:
    """Answers which rows of one table of a world pass a /filter body."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_id = {row["id"]: row for rows in world.rows.values() for row in rows}

    def ids(self, table: str, filters: Criteria) -> set[Any]:
        """The ids of the rows that pass every filter in the body (scope → filter)."""
        given = {scope: filter for scope, filter in filters.items() if filter is not None}
        return {row["id"] for row in self.world[table] if getattr(self, f"{table}_passes")(row, given)}

    def passes(self, row: Row | None, table: str, filter: Criteria | None) -> bool:
        """One row against one filter. A missing row passes only if there is no filter."""
        if filter is None:
            return True
        if row is None:
            return False
        return join(filter, [self.field_passes(row, table, name, value) for name, value in said(filter)])

    def field_passes(self, row: Row, table: str, name: str, criteria: Criteria) -> bool:
        if name == "state":
            parts = [("state_type", criteria.get("type")), ("state_name", criteria.get("name"))]
            return join(criteria, [self.compare(row[field], c, COMPARE) for field, c in parts if c is not None])
        if name == "tags":
            return self.compare(row["tags"], criteria, COMPARE_TAGS)
        if name == "created_by":
            return self.compare(row["created_by"], criteria, COMPARE_CREATOR)
        if name in ("flow_or_deployment_name", "text"):
            texts = {"deployment": lambda: [row["name"], self.by_id[row["flow_id"]]["name"]],
                     "log": lambda: [row["message"], row["name"]]}[table]()  # fmt: skip
            return any(self.compare(text, criteria, COMPARE) for text in texts)
        if (table, name) == ("task_run", "flow_run_id") and criteria.get("is_null_"):
            criteria = {"is_null_": True}  # of no flow run: which ones are asked for no longer matters
        return self.compare(self.value(row, name), criteria, COMPARE)

    def value(self, row: Row, name: str) -> Any:
        if name == "deployment":
            return next((True for other in self.world["deployment"] if other["flow_id"] == row["id"]), None)
        if name == "subflow_runs":
            return any(run["parent_task_run_id"] == row["id"] for run in self.world["flow_run"])
        if name == "parent_flow_run_id":
            parent = self.by_id.get(row["parent_task_run_id"])
            return parent and parent["flow_run_id"]
        return row[name]

    def compare(self, actual: Any, criteria: Criteria, table: Mapping[str, Callable[[Any, Any], bool]]) -> bool:
        return join(criteria, [table[operator](actual, wanted) for operator, wanted in said(criteria)])

    # Which rows count through which others, per table that can be asked for.

    def flow_passes(self, row: Row, given: Criteria) -> bool:
        deployments = [d for d in self.world["deployment"] if d["flow_id"] == row["id"]]
        runs = [r for r in self.world["flow_run"] if r["flow_id"] == row["id"]]
        return (
            self.passes(row, "flow", given.get("flows"))
            and (
                not given.keys() & {"deployments", "work_pools", "work_pool_queues"}
                or any(self.deployment_is(d, given) for d in deployments)
            )
            and self.one_run(runs, given)
        )

    def deployment_passes(self, row: Row, given: Criteria) -> bool:
        runs = [r for r in self.world["flow_run"] if r["deployment_id"] == row["id"]]
        owner = self.by_id[row["flow_id"]]
        return (
            self.deployment_is(row, given)
            and self.passes(owner, "flow", given.get("flows"))
            and self.one_run(runs, given)
        )

    def flow_run_passes(self, row: Row, given: Criteria) -> bool:
        return self.run_is(row, given) and self.one_task(row, given)

    def task_run_passes(self, row: Row, given: Criteria) -> bool:
        if not self.passes(row, "task_run", given.get("task_runs")):
            return False
        if not given.keys() - {"task_runs"}:
            return True
        run = self.by_id.get(row["flow_run_id"])
        return run is not None and self.run_is(run, given)

    def work_pool_passes(self, row: Row, given: Criteria) -> bool:
        return self.passes(row, "work_pool", given.get("work_pools"))

    def work_queue_passes(self, row: Row, given: Criteria) -> bool:
        return self.passes(row, "work_queue", given.get("work_queues", given.get("work_pool_queues")))

    def worker_passes(self, row: Row, given: Criteria) -> bool:
        return self.passes(row, "worker", given.get("workers"))

    def log_passes(self, row: Row, given: Criteria) -> bool:
        return self.passes(row, "log", given.get("logs"))

    def deployment_is(self, row: Row, given: Criteria) -> bool:
        return (
            self.passes(row, "deployment", given.get("deployments"))
            and self.passes(self.by_id.get(row["work_pool_id"]), "work_pool", given.get("work_pools"))
            and self.passes(self.by_id.get(row["work_queue_id"]), "work_queue", given.get("work_pool_queues"))
        )

    def run_is(self, run: Row, given: Criteria) -> bool:
        deployment = self.by_id.get(run["deployment_id"])
        return (
            self.passes(run, "flow_run", given.get("flow_runs"))
            and self.passes(self.by_id[run["flow_id"]], "flow", given.get("flows"))
            and self.passes(deployment, "deployment", given.get("deployments"))
            and self.passes(self.by_id.get(run["work_pool_id"]), "work_pool", given.get("work_pools"))
            and self.passes(self.by_id.get(run["work_queue_id"]), "work_queue", given.get("work_pool_queues"))
        )

    def one_run(self, runs: Sequence[Row], given: Criteria) -> bool:
        if not given.keys() & {"flow_runs", "task_runs"}:
            return True
        return any(self.passes(run, "flow_run", given.get("flow_runs")) and self.one_task(run, given) for run in runs)

    def one_task(self, run: Row, given: Criteria) -> bool:
        if "task_runs" not in given:
            return True
        tasks = (task for task in self.world["task_run"] if task["flow_run_id"] == run["id"])
        return any(self.passes(task, "task_run", given["task_runs"]) for task in tasks)
