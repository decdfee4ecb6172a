"""What a recorded flow looks like: a map of 3, a retry, a subflow and a failure, in graph, history and lateness."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headway.testing.recorded_flow import RecordedFlow, play


@pytest.fixture
def recorded(asker) -> RecordedFlow:
    def ask(method: str, path: str, body: object = None) -> object:
        answer = asker.ask(method, path, body)
        assert answer.status < 300, (path, answer)
        return answer.body

    return play(ask, asker.clock.now, asker.clock.advance)


@pytest.fixture
def graph(asker, recorded):
    return asker.get(f"/flow_runs/{recorded.flow_runs['parent']}/graph-v2").body


TRANSFORMS = ["transform-0", "transform-1", "transform-2"]


def test_the_graph_has_a_node_per_task_run_and_shows_the_subflow_as_a_flow_run(graph, recorded) -> None:
    nodes = [node for _, node in graph["nodes"]]
    assert [(node["kind"], node["label"], node["state_type"]) for node in nodes] == [
        ("task-run", "extract", "COMPLETED"),
        *[("task-run", name, "COMPLETED") for name in TRANSFORMS],
        ("flow-run", "child-flow / child", "COMPLETED"),
        ("task-run", "load", "FAILED"),
    ]
    assert [id for id, _ in graph["nodes"]] == [node["id"] for node in nodes]
    assert nodes[4]["id"] == recorded.flow_runs["child"]


def test_the_graphs_edges_follow_task_inputs_through_the_subflow(graph, recorded) -> None:
    names = {id: name for name, id in {**recorded.task_runs, **recorded.flow_runs}.items()}
    edges = {
        names[id]: [[names[edge["id"]] for edge in node[kind]] for kind in ("parents", "children", "encapsulating")]
        for id, node in graph["nodes"]
    }
    assert edges == {
        "extract": [[], TRANSFORMS, []],
        **{name: [["extract"], ["child"], []] for name in TRANSFORMS},
        "child": [TRANSFORMS, ["load"], []],
        "load": [["child"], [], []],
    }
    assert graph["root_node_ids"] == [recorded.task_runs["extract"]]


def test_the_graph_has_the_runs_times_and_states(asker, graph, recorded) -> None:
    run = asker.get(f"/flow_runs/{recorded.flow_runs['parent']}").body
    assert (graph["start_time"], graph["end_time"]) == (run["start_time"], run["end_time"])
    assert [(state["type"], state["name"]) for state in graph["states"]] == [
        ("PENDING", "Pending"),
        ("RUNNING", "Running"),
        ("FAILED", "Failed"),
    ]
    assert graph["states"][-1]["id"] == run["state_id"]
    extract = graph["nodes"][0][1]
    task = asker.get(f"/task_runs/{recorded.task_runs['extract']}").body
    assert (extract["start_time"], extract["end_time"]) == (task["start_time"], task["end_time"])
    assert graph["artifacts"] == []


def test_a_graph_since_some_time_leaves_out_what_had_ended_by_then(asker, recorded) -> None:
    load = asker.get(f"/task_runs/{recorded.task_runs['load']}").body
    path = f"/flow_runs/{recorded.flow_runs['parent']}/graph-v2"
    since = asker.ask("GET", path, query=f"since={load['end_time']}").body
    assert [node["label"] for _, node in since["nodes"]] == ["load"]


def test_what_ran_inside_a_task_run_is_encapsulated_by_it(asker, recorded) -> None:
    outer = recorded.task_runs["extract"]
    inside = {
        "flow_run_id": recorded.flow_runs["parent"],
        "task_key": "inner",
        "dynamic_key": "0",
        "name": "inner",
        "task_inputs": {"__parents__": [{"input_type": "task_run", "id": outer}]},
        "state": {"type": "RUNNING"},
    }
    inner = asker.post("/task_runs/", inside).body
    nodes = dict(asker.get(f"/flow_runs/{recorded.flow_runs['parent']}/graph-v2").body["nodes"])
    assert nodes[inner["id"]]["encapsulating"] == [{"id": outer}]
    assert nodes[inner["id"]]["parents"] == []
    assert nodes[inner["id"]]["end_time"] is None


def test_the_graph_of_a_run_that_does_not_exist_is_404(asker) -> None:
    assert asker.get("/flow_runs/01a204cf-7c48-7b84-92c6-a909a87a0919/graph-v2").status == 404


def window(asker, **more) -> dict:
    now = asker.clock.now()
    start, end = now - timedelta(minutes=30), now + timedelta(minutes=30)
    return {
        "history_start": start.isoformat(),
        "history_end": end.isoformat(),
        "history_interval_seconds": 1800,
        **more,
    }


def figures(interval) -> dict:
    return {
        state["state_name"]: (
            state["count_runs"],
            round(state["sum_estimated_run_time"], 3),
            round(state["sum_estimated_lateness"], 3),
        )
        for state in interval["states"]
    }


def test_flow_run_history_counts_runs_per_interval_and_state(asker, recorded) -> None:
    before, after = asker.post("/flow_runs/history", window(asker)).body
    assert figures(before) == {"Completed": (1, 3.0, 0.0), "Failed": (1, 20.0, 4.0)}
    assert figures(after) == {}
    assert before["interval_end"] == after["interval_start"]


def test_task_run_history_counts_the_retried_one_once(asker, recorded) -> None:
    chosen = {"flow_runs": {"id": {"any_": [recorded.flow_runs["parent"]]}}}
    before, _ = asker.post("/task_runs/history", window(asker, **chosen)).body
    # extract, three transforms of which one ran twice, the subflow's stand-in; and load, which failed
    assert figures(before) == {"Completed": (5, 8.0, 4.0), "Failed": (1, 1.0, 1.0)}


def test_history_of_runs_that_go_on_grows_with_the_clock(asker, recorded) -> None:
    flow = asker.post("/flows/", {"name": "now"}).body["id"]
    for type in ("SCHEDULED", "RUNNING"):
        asker.post("/flow_runs/", {"flow_id": flow, "name": type, "state": {"type": type}})
    chosen = window(asker, flows={"name": {"any_": ["now"]}})
    asker.clock.advance(10)
    _, after = asker.post("/flow_runs/history", chosen).body
    assert figures(after) == {"Running": (1, 10.0, 0.0), "Scheduled": (1, 0.0, 10.0)}


def test_a_history_has_at_most_500_intervals_of_at_least_a_second(asker) -> None:
    assert len(asker.post("/flow_runs/history", window(asker, history_interval_seconds=1)).body) == 500
    assert asker.post("/flow_runs/history", window(asker, history_end="2020-01-01T00:00:00Z")).body == []
    refused = asker.post("/flow_runs/history", window(asker, history_interval_seconds=0.5))
    assert refused.status == 422
    assert "less than 1 second" in str(refused.body)


@pytest.mark.parametrize(
    "more",
    [
        {"history_interval_seconds": 1e300},
        {"history_end": "9999-12-31T23:59:59Z", "history_interval_seconds": 1e9},
    ],
)
def test_a_history_beyond_the_calendar_is_refused(asker, more) -> None:
    refused = asker.post("/flow_runs/history", window(asker, **more))
    assert refused.status == 422
    assert "beyond the calendar" in str(refused.body)


def test_lateness_is_the_mean_over_the_runs_that_pass(asker, recorded) -> None:
    def lateness(**filters: object) -> float | None:
        return asker.post("/flow_runs/lateness", filters).body

    assert lateness() == pytest.approx((4 + 0) / 2, abs=0.001)
    assert lateness(flow_runs={"name": {"any_": ["parent"]}}) == pytest.approx(4, abs=0.001)
    assert lateness(flow_runs={"name": {"any_": ["nobody"]}}) is None


def test_the_subflows_parent_task_run_went_through_its_states(asker, recorded) -> None:
    task = asker.get(f"/task_runs/{recorded.task_runs['child']}").body
    assert (task["state_type"], task["state"]["state_details"]["child_flow_run_id"]) == (
        "COMPLETED",
        recorded.flow_runs["child"],
    )
    states = asker.get(f"/task_run_states/?task_run_id={task['id']}").body
    assert [state["type"] for state in states] == ["PENDING", "PENDING", "RUNNING", "COMPLETED"]
    child = asker.get(f"/flow_runs/{recorded.flow_runs['child']}").body
    assert child["parent_task_run_id"] == task["id"]
    assert child["state"]["state_details"]["task_run_id"] == task["id"]


def test_the_retried_task_run_shows_every_state_with_the_ids_of_the_events(asker, recorded) -> None:
    id = recorded.task_runs["transform-1"]
    states = asker.get(f"/task_run_states/?task_run_id={id}").body
    assert [state["name"] for state in states] == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert [state["id"] for state in states] == recorded.states["transform-1"]
    task = asker.get(f"/task_runs/{id}").body
    assert (task["run_count"], task["total_run_time"], task["state_id"]) == (2, 2.0, states[-1]["id"])
