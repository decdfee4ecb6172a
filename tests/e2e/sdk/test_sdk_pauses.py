"""Pausing with typed input in the process, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from headway import RunInput, flow, pause_flow_run, resume_flow_run, suspend_flow_run, task
from headway.core.errors import PausedRun, RunError
from headway.sdk.context import MissingContext
from headway.testing.waiting import eventually

Unique = Callable[[str], str]


class Answer(RunInput):
    approved: bool
    comment: str = "none"


class InThread:
    """A flow running beside the test."""

    def __init__(self, flow: Any) -> None:
        self.outcome: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(flow,), daemon=True)
        self._thread.start()

    def _run(self, flow: Any) -> None:
        try:
            self.outcome.append(flow())
        except BaseException as error:
            self.outcome.append(error)

    def result(self) -> Any:
        self._thread.join(60)
        (value,) = self.outcome
        return value


def paused_run(history: Any, name: str) -> Any:
    def look() -> Any:
        runs = history.runs(name)
        return runs[0] if runs and runs[0].state_name == "Paused" else None

    return eventually(look, 30, f"{name} to pause")


def test_a_paused_flow_goes_on_with_the_typed_input_it_is_resumed_with(history: Any, unique: Unique) -> None:
    @flow(name=unique("asks"))
    def asks() -> Any:
        answer = pause_flow_run(Answer.with_initial_data(comment="fine?"), timeout=60, poll_interval=0.1)
        return answer.approved, answer.comment

    running = InThread(asks)
    run = paused_run(history, unique("asks"))
    assert run.state.state_details.run_input_keyset["schema"] == "paused-1-schema"
    eventually(lambda: history.client.filter_flow_run_inputs(run.id, "paused-1-schema"), 20)
    schema = history.client.read_flow_run_input(run.id, "paused-1-schema")
    assert schema["properties"]["comment"]["default"] == "fine?"
    resume_flow_run(run.id, {"approved": True})
    assert running.result() == (True, "fine?")
    assert history.states(run.id) == ["Pending", "Running", "Paused", "Running", "Completed"]


def test_an_async_flow_awaits_its_pause(history: Any, unique: Unique) -> None:
    @flow(name=unique("awaits"))
    async def awaits() -> str:
        text: str = await pause_flow_run(str, timeout=60, poll_interval=0.1)
        return text.upper()

    running = InThread(lambda: asyncio.run(awaits()))
    run = paused_run(history, unique("awaits"))
    eventually(lambda: history.client.filter_flow_run_inputs(run.id, "paused-1-schema"), 20)
    resume_flow_run(run.id, "go on")
    assert running.result() == "GO ON"


def test_input_that_does_not_fit_is_refused_and_the_run_stays_paused(history: Any, unique: Unique) -> None:
    @flow(name=unique("typed"))
    def typed() -> int:
        number: int = pause_flow_run(int, timeout=60, poll_interval=0.1)
        return number

    running = InThread(typed)
    run = paused_run(history, unique("typed"))
    eventually(lambda: history.client.filter_flow_run_inputs(run.id, "paused-1-schema"), 20)
    with pytest.raises(RunError, match="validation failed"):
        resume_flow_run(run.id, {"value": "many"})
    assert history.run(unique("typed")).state_name == "Paused"
    resume_flow_run(run.id, 5)
    assert running.result() == 5


def test_a_pause_that_nobody_ends_fails_the_run(history: Any, unique: Unique) -> None:
    @flow(name=unique("alone"))
    def alone() -> None:
        pause_flow_run(timeout=0.3, poll_interval=0.1)

    with pytest.raises((PausedRun, RunError)):
        alone()
    assert history.run(unique("alone")).state_name == "Failed"


def test_plain_pydantic_models_are_inputs_too() -> None:
    from headway.sdk.run_inputs import InputType

    class Plain(pydantic.BaseModel):
        x: int

    assert InputType(Plain).load({"x": "3"}) == Plain(x=3)
    assert InputType(list[int]).load({"value": ["1"]}) == [1]


def test_pauses_are_for_flows_only(server: str, unique: Unique) -> None:
    with pytest.raises(MissingContext, match="inside a flow only"):
        pause_flow_run()

    @task
    def pauses() -> None:
        pause_flow_run()

    @flow(name=unique("intask"))
    def intask() -> None:
        with pytest.raises(MissingContext, match="in flows, not in tasks"):
            pauses()

    intask()


def test_what_has_no_deployment_cannot_be_suspended(server: str, unique: Unique) -> None:
    @flow(name=unique("suspends"))
    def suspends() -> None:
        suspend_flow_run()

    with pytest.raises(RunError, match="cannot be suspended"):
        suspends()


def test_resuming_what_is_not_paused_says_so(history: Any, unique: Unique) -> None:
    @flow(name=unique("done"))
    def done() -> None: ...

    done()
    with pytest.raises(RunError, match="could not be resumed"):
        resume_flow_run(history.run(unique("done")).id)
