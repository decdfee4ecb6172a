"""Every (model, field, operator) of the reference's /filter routes, asked of a real server over HTTP.

The server's database holds a world of 24 rows and more of everything; each answer is compared with what a
naive filter in Python finds. The number of operators covered is printed at the end of the test run.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from sqlalchemy import insert

from headway.store.database import Database
from headway.store.tables import live_run, metadata, telemetry
from headway.testing.databases import point_to, url_of
from headway.testing.filter_walk import MODELS, Question, questions
from headway.testing.filter_world import World, build_world
from headway.testing.naive_filter import NaiveFilter
from headway.testing.postgres import Cluster
from headway.testing.processes import Place

REFERENCE = json.loads((Path(__file__).parent / "reference" / "openapi-3.8.8.json").read_text())
WORLD = build_world()
NAIVE = NaiveFilter(WORLD)
QUESTIONS = list(questions(REFERENCE["schemas"], WORLD))
ROUTES = {
    "flow": ("/flows/filter", "flows"),
    "flow_run": ("/flow_runs/filter", "flow_runs"),
    "task_run": ("/task_runs/filter", "task_runs"),
    "deployment": ("/deployments/filter", "deployments"),
    "work_pool": ("/work_pools/filter", "work_pools"),
    "work_queue": ("/work_queues/filter", "work_queues"),
    "worker": ("/work_pools/pool-0/workers/filter", "workers"),
    "log": ("/logs/filter", "logs"),
}
"""Table → its route, and the name of its own filter there."""
RELATED = ("flow", "flow_run", "task_run", "deployment")
"""Tables that can be narrowed by filters on the others."""
LOOPS_OFF = dict.fromkeys(
    [
        f"server_loops_{loop}"
        for loop in ("scheduler", "late", "pauses", "status", "reaper", "cancellations", "retention")
    ],
    "off",
)


class Asked:
    """One connection to the server."""

    def __init__(self, url: str, database: str) -> None:
        self.database = database
        parts = urlsplit(url)
        self.base = parts.path
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.connection.request(
            "POST", self.base + path, msgspec.json.encode(body), {"content-type": "application/json"}
        )
        reply = self.connection.getresponse()
        return reply.status, json.loads(reply.read())

    def ids(self, path: str, body: dict[str, Any]) -> set[str]:
        status, found = self(path, body)
        assert status == 200, (path, body, found)
        assert len(found) == len({row["id"] for row in found})
        return {row["id"] for row in found}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    home = tmp_path_factory.mktemp("filter-walk")
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        point_to(home, cluster.new_database())
    with Place(home) as place:
        server = place.server(**LOOPS_OFF)
        fill(home, WORLD)
        asked = Asked(server.url, request.param)
        yield asked
        asked.connection.close()


def fill(home: Path, world: World) -> None:
    """Put the world into the server's database: two files of SQLite, or one PostgreSQL."""
    record = url_of(home)
    beside = f"sqlite:///{home / 'headway-telemetry.db'}" if record.startswith("sqlite") else record
    for url, tables in ((record, metadata.tables), (beside, telemetry.tables)):
        database = Database(url)
        with database.engine.begin() as connection:
            for name, rows in world.rows.items():
                for row in rows if name in tables else ():
                    connection.execute(insert(tables[name]), row)
            if tables is metadata.tables:
                connection.execute(insert(live_run), [live_row(run) for run in world["flow_run"] if is_live(run)])
        database.engine.dispose()


def is_live(run: dict[str, Any]) -> bool:
    return run["state_type"] in ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")


def live_row(run: dict[str, Any]) -> dict[str, Any]:
    shared = ("state_type", "state_name", "work_pool_id", "work_queue_id", "deployment_id")
    row = {name: run.get(name) for name in shared}
    return {**row, "flow_run_id": run["id"], "state_since": run["state_timestamp"] or run["created"]}


def expected(table: str, filters: dict[str, Any]) -> set[str]:
    return {str(id) for id in NAIVE.ids(table, filters)}


def own(question: Question) -> dict[str, Any]:
    return {ROUTES[question.table][1]: question.filter}


def test_each_operator_finds_over_http_what_the_naive_filter_finds(ask: Asked, record_property: Any) -> None:
    for question in QUESTIONS:
        route = ROUTES[question.table][0]
        assert ask.ids(route, own(question)) == expected(question.table, own(question)), question
    covered = {question.key for question in QUESTIONS}
    assert covered == operators_of_the_reference()
    told = f"{len(covered)} of {len(covered)} (model, field, operator) covered"
    record_property("note", f"/filter over HTTP on {ask.database}: {told}")


@pytest.mark.parametrize("root", RELATED)
def test_each_operator_narrows_related_resources_over_http(ask: Asked, root: str) -> None:
    one_each = {question.key: question for question in QUESTIONS if question.table not in ("worker", "log")}
    for question in one_each.values():
        scope = "work_pool_queues" if question.table == "work_queue" else ROUTES[question.table][1]
        filters = {scope: question.filter}
        assert ask.ids(ROUTES[root][0], filters) == expected(root, filters), (root, question)


@pytest.mark.parametrize("root", RELATED)
def test_counting_and_paginating_agree_with_filtering(ask: Asked, root: str) -> None:
    for question in [q for q in QUESTIONS if q.table == root][::5]:
        base = ROUTES[root][0].removesuffix("/filter")
        count = len(expected(root, own(question)))
        assert ask(f"{base}/count", own(question)) == (200, count), question
        status, page = ask(f"{base}/paginate", {**own(question), "limit": 5})
        assert (status, page["count"], len(page["results"])) == (200, count, min(5, count))
        assert page["pages"] == -(-count // 5)


@pytest.mark.parametrize("table", sorted(set(ROUTES) - {"worker", "work_pool", "work_queue"}))
def test_every_sort_order_of_the_reference_is_taken(ask: Asked, table: str) -> None:
    model = {"flow": "FlowSort", "flow_run": "FlowRunSort", "task_run": "TaskRunSort", "deployment": "DeploymentSort",
             "log": "LogSort"}[table]  # fmt: skip
    for sort in REFERENCE["schemas"][model]["enum"]:
        assert ask.ids(ROUTES[table][0], {"sort": sort}) == expected(table, {})


@pytest.mark.parametrize("table", sorted(ROUTES))
def test_a_page_has_200_rows_at_most_and_what_is_unknown_is_named(ask: Asked, table: str) -> None:
    route, scope = ROUTES[table]
    assert ask(route, {"limit": 201})[0] == 422
    assert ask(route, {"limit": 3, "offset": 1})[0] == 200
    assert ask.ids(route, {"limit": 0}) == set()
    for body, loc in (({scope: {"flavour": {}}}, [scope, "flavour"]), ({"flavour": 1}, ["flavour"])):
        status, answer = ask(route, body)
        assert status == 422
        assert answer["exception_detail"][0]["loc"] == ["body", *loc]


def operators_of_the_reference() -> set[tuple[str, str, str]]:
    """Counted once more, straight from the schemas, so that the walk cannot skip one unseen."""
    schemas = REFERENCE["schemas"]
    found = set()
    todo = [(model, (), model) for model in MODELS.values()]
    while todo:
        model, path, name = todo.pop()
        for field, member in schemas[name]["properties"].items():
            refers = re.findall(r'schemas/(\w+)"', json.dumps(member))
            if refers and "properties" in schemas[refers[0]]:
                todo.append((model, (*path, field), refers[0]))
            else:
                found.add((model, ".".join(path), field))
    return found
