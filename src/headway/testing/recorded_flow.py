"""A flow as any wire-compatible server could have recorded it: a map of 3, a retry, a subflow and a failure.

`play` makes the calls that an engine makes (REST for flow runs, events for task runs); the same script runs
against a server in this process and against a live reference server, so that what both show can be compared.

    extract ─┬─ transform-0 ─┬─ child flow ── load (fails)
             ├─ transform-1 ─┤  └─ check (runs inside of it)
             └─ transform-2 ─┘  (transform-1 fails once and is retried)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headway.core.ids import new_id

__all__ = ["Ask", "RecordedFlow", "TaskRunEvents", "play"]

Ask = Callable[[str, str, Any], Any]
"""(method, path, JSON body) → decoded JSON of the answer, which has to be a success."""


@dataclass
class RecordedFlow:
    """The ids of what was made, by name: flow runs `parent` and `child`, task runs by their name."""

    flow_runs: dict[str, str] = field(default_factory=dict)
    task_runs: dict[str, str] = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)
    """Per task run, the ids of its states in order: those of the events."""


class _Player:
    def __init__(self, ask: Ask, now: Callable[[], datetime], wait: Callable[[float], object]) -> None:
        self.ask, self.now, self.wait = ask, now, wait
        self.made = RecordedFlow()

    def state(self, run: str, type: str, **more: Any) -> None:
        id = self.made.flow_runs[run]
        self.ask("POST", f"/flow_runs/{id}/set_state", {"state": {"type": type, **more}, "force": False})

    def task(
        self, name: str, flow_run: str, states: list[tuple[str, str]], inputs: dict[str, list[str]] | None = None
    ) -> None:
        """A task run that goes through `states` (type, name), one second each, reported in one batch."""
        id = self.made.task_runs.setdefault(name, str(new_id()))
        run = TaskRunEvents(id, name, self.made.flow_runs[flow_run])
        for parameter, sources in (inputs or {}).items():
            run.inputs[parameter] = [{"input_type": "task_run", "id": self.made.task_runs[it]} for it in sources]
        events = []
        for type, state_name in states:
            events.append(run.enter(type, state_name, self.now()))
            self.wait(1)
        self.made.states[name] = [event["id"] for event in events]
        self.ask("POST", "/events", events)


@dataclass
class TaskRunEvents:
    """A task run as its engine knows it; each state it enters becomes an event (CONTRACT §2.5)."""

    id: str
    name: str
    flow_run_id: str
    inputs: dict[str, Any] = field(default_factory=dict)
    run_count: int = 0
    expected: str | None = None
    started: str | None = None
    ran: float = 0.0
    last: tuple[str, datetime, str] | None = None

    def enter(self, type: str, name: str, at: datetime) -> dict[str, Any]:
        before, time = self.last, at.isoformat()
        if before is not None and before[0] == "RUNNING":
            self.ran += (at - before[1]).total_seconds()
        self.expected = self.expected or time
        if type == "RUNNING":
            self.run_count += 1
            self.started = self.started or time
        id = str(new_id())
        self.last = (type, at, id)
        final = type in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return {
            "id": id,
            "occurred": time,
            "event": f"prefect.task-run.{name}",
            "follows": before[2] if before else None,
            "resource": self._resource(type, name, time),
            "related": [
                {"prefect.resource.id": f"prefect.flow-run.{self.flow_run_id}", "prefect.resource.role": "flow-run"}
            ],
            "payload": {
                "intended": {"from": before[0] if before else None, "to": type},
                "initial_state": None,
                "validated_state": {"type": type, "name": name, "message": None, "state_details": {}, "data": None},
                "task_run": {
                    "name": self.name,
                    "task_key": self.name.rstrip("-0123456789"),
                    "dynamic_key": self.name,
                    "task_inputs": self.inputs,
                    "empirical_policy": {"retries": 1, "retry_delay": 0},
                    "tags": ["etl"],
                    "run_count": self.run_count,
                    "flow_run_run_count": 1,
                    "expected_start_time": self.expected,
                    "start_time": self.started,
                    "end_time": time if final else None,
                    "total_run_time": self.ran,
                },
            },
        }

    def _resource(self, type: str, name: str, time: str) -> dict[str, str]:
        return {
            "prefect.resource.id": f"prefect.task-run.{self.id}",
            "prefect.resource.name": self.name,
            "prefect.run-count": str(self.run_count),
            "prefect.state-message": "",
            "prefect.state-name": name,
            "prefect.state-timestamp": time,
            "prefect.state-type": type,
            "prefect.orchestration": "client",
        }


_OK = [("PENDING", "Pending"), ("RUNNING", "Running"), ("COMPLETED", "Completed")]
_RETRIED = [
    ("PENDING", "Pending"),
    ("RUNNING", "Running"),
    ("SCHEDULED", "AwaitingRetry"),
    ("RUNNING", "Retrying"),
    ("COMPLETED", "Completed"),
]
_FAILED = [("PENDING", "Pending"), ("RUNNING", "Running"), ("FAILED", "Failed")]


def play(ask: Ask, now: Callable[[], datetime], wait: Callable[[float], object]) -> RecordedFlow:
    """Record the flow. `wait(seconds)` moves the time of `now` on; the run starts 4 s after it was due."""
    player = _Player(ask, now, wait)
    made = player.made
    parent, child = (ask("POST", "/flows/", {"name": f"{name}-flow"})["id"] for name in ("parent", "child"))
    run = {"flow_id": parent, "name": "parent", "state": {"type": "PENDING"}, "parameters": {"day": 1}}
    made.flow_runs["parent"] = ask("POST", "/flow_runs/", run)["id"]
    wait(4)
    player.state("parent", "RUNNING")
    player.task("extract", "parent", _OK)
    for number in range(3):
        player.task(
            f"transform-{number}", "parent", _RETRIED if number == 1 else _OK, {"rows": ["extract"], "x": ["extract"]}
        )
    _subflow(player, child)
    player.task("load", "parent", _FAILED, {"checked": ["child"]})
    player.state("parent", "FAILED", message="load failed")
    return made


def _subflow(player: _Player, flow_id: str) -> None:
    """Its parent task run is made over REST and follows its states; what runs in it belongs to it alone."""
    made = player.made
    inputs = [{"input_type": "task_run", "id": made.task_runs[f"transform-{number}"]} for number in range(3)]
    stand_in = {
        "name": "child",
        "flow_run_id": made.flow_runs["parent"],
        "task_key": "child",
        "dynamic_key": "child-0",
        "task_inputs": {"parts": inputs},
        "state": {"type": "PENDING"},
    }
    made.task_runs["child"] = player.ask("POST", "/task_runs/", stand_in)["id"]
    run = {"flow_id": flow_id, "name": "child", "parent_task_run_id": made.task_runs["child"]}
    made.flow_runs["child"] = player.ask("POST", "/flow_runs/", {**run, "state": {"type": "PENDING"}})["id"]
    player.state("child", "RUNNING")
    player.task("check", "child", _OK)
    player.state("child", "COMPLETED")
