"""A flow with a subflow, a map of 3, a retry and a failure, recorded on a live reference server and on ours:
graph, histories and lateness have the same contents. Run it with `make contract`.

Reviewed: an edge is shown once by us and once per parameter by the reference; one that leads from a subflow's
parent task run is shown by us alone (the reference shows the subflow's run in its place and loses the edge);
sums are exact with us and whole seconds there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from live.servers import Server, headway, reference

from headway.testing.recorded_flow import RecordedFlow, play
from headway.testing.waiting import eventually

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen]:
    if not request.config.getoption("--live", default=False):
        pytest.skip("the live comparison runs with `make contract`")
    home = tmp_path_factory.mktemp("recorded")
    with reference(home / "reference") as theirs, headway(home / "headway") as ours:
        theirs.wait_until_ready()
        ours.wait_until_ready()
        return look(theirs), look(ours)


def asker(server: Server) -> Callable[..., Any]:
    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = server.ask(method, path, body)
        assert answer.status < 300, (server.name, method, path, answer)
        return answer.value

    return ask


def look(server: Server) -> Seen:
    """Record the flow on the server and say what it shows of it, with names in the place of ids."""
    ask = asker(server)
    recorded = play(ask, lambda: datetime.now(UTC), lambda _: time.sleep(0.01))

    def all_recorded() -> bool:  # the reference records task runs in the background
        last = [(recorded.task_runs[name], states[-1]) for name, states in recorded.states.items()]
        return all(server.ask("GET", f"/task_runs/{run}").value.get("state_id") == state for run, state in last)

    eventually(all_recorded, 60, f"task runs recorded by {server.name}")
    graph = ask("GET", f"/flow_runs/{recorded.flow_runs['parent']}/graph-v2")
    return {
        "graph": {key: value for key, value in graph.items() if key not in ("nodes", "root_node_ids")},
        "nodes": nodes(graph, recorded),
        "histories": {kind: history(ask, kind) for kind in ("flow_runs", "task_runs")},
        "lateness": [
            ask("POST", "/flow_runs/lateness", body) for body in ({}, {"flows": {"name": {"any_": ["none"]}}})
        ],
    }


def nodes(graph: Any, recorded: RecordedFlow) -> Seen:
    names = {id: name for name, id in {**recorded.task_runs, **recorded.flow_runs}.items()}
    return {
        names[id]: {
            **{key: node[key] for key in ("kind", "label", "state_type", "artifacts")},
            "ended": node["end_time"] is not None,
            **{
                edges: sorted({names[edge["id"]] for edge in node[edges]})
                for edges in ("parents", "children", "encapsulating")
            },
        }
        for id, node in graph["nodes"]
    }


def history(ask: Callable[..., Any], kind: str) -> list[Any]:
    now = datetime.now(UTC)
    body = {
        "history_start": (now - timedelta(hours=1)).isoformat(),
        "history_end": (now + timedelta(hours=1)).isoformat(),
        "history_interval_seconds": 3600,
    }
    found = ask("POST", f"/{kind}/history", body)
    return [
        [(set(state), state["state_type"], state["state_name"], state["count_runs"]) for state in interval["states"]]
        for interval in found
    ]


@pytest.mark.timeout(300)
def test_the_graph_has_the_same_nodes_and_edges_but_the_one_the_reference_loses(both: tuple[Seen, Seen]) -> None:
    theirs, ours = (seen["nodes"] for seen in both)
    assert (theirs["child"]["children"], theirs["load"]["parents"]) == ([], [])
    assert (ours["child"].pop("children"), ours["load"].pop("parents")) == (["load"], ["child"])
    del theirs["child"]["children"], theirs["load"]["parents"]
    assert ours == theirs


@pytest.mark.timeout(300)
def test_the_graph_has_the_same_states_and_fields(both: tuple[Seen, Seen]) -> None:
    theirs, ours = (seen["graph"] for seen in both)
    assert ours.keys() == theirs.keys()
    assert [set(state) for state in ours["states"]] == [set(state) for state in theirs["states"]]
    assert [(state["type"], state["name"]) for state in ours["states"]] == [
        (state["type"], state["name"]) for state in theirs["states"]
    ]


@pytest.mark.timeout(300)
def test_histories_count_the_same_runs_in_the_same_states(both: tuple[Seen, Seen]) -> None:
    theirs, ours = (seen["histories"] for seen in both)
    assert ours == theirs


@pytest.mark.timeout(300)
def test_lateness_is_a_number_or_null_in_the_same_cases(both: tuple[Seen, Seen]) -> None:
    theirs, ours = (seen["lateness"] for seen in both)
    assert [type(value) for value in ours] == [type(value) for value in theirs] == [float, type(None)]
