"""Task runs as their engines report them, from compact reports and from events (CONTRACT §2.5).

Nothing that cannot be used holds up the rest of its batch: it goes to the dead letters, alone, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from headway.core.clock import Clock
from headway.core.errors import Invalid
from headway.core.ids import new_id
from headway.core.rules.facts import Caller
from headway.core.states import TERMINAL, StateType, default_name, moment
from headway.server.services.fencing import Fences, Kept
from headway.store.protocols import Events, RecordedRun, RecordedState, Recording, Row
from headway.wire.events import IncomingEvent, TaskRunPayload
from headway.wire.states import StateDetails
from headway.wire.task_run_reports import EnteredState, TaskRunReport
from headway.wire.task_runs import TaskRunPolicy

__all__ = ["Recorder", "TaskRunReportService", "is_task_run_report", "letter", "report_of"]

_TASK_RUN = "prefect.task-run."
_FLOW_RUN = "prefect.flow-run."
_read_one = msgspec.json.Decoder(TaskRunReport).decode
_read_many = msgspec.json.Decoder(list[TaskRunReport]).decode
_read_payload = msgspec.json.Decoder(TaskRunPayload).decode
_read_any = msgspec.json.Decoder().decode

MOST_AT_ONCE = 250
"""Reports decoded without a break for other requests, and recorded in one transaction: some 20 ms of work."""

Told = tuple[msgspec.Raw, TaskRunReport]
"""A report, and the bytes it was read from."""


class Recorder:
    """Records reports a batch at a time, so that states of flow runs get their turn in between."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def record(self, told: Sequence[Told], attempt: int | None, now: datetime) -> list[Row]:
        """Record what can be recorded; letters about the rest. `attempt` is the flow run's that reports."""
        letters: list[Row] = []
        for start in range(0, len(told), MOST_AT_ONCE):
            letters += await self._some(told[start : start + MOST_AT_ONCE], attempt, now)
        return letters

    async def _some(self, told: Sequence[Told], attempt: int | None, now: datetime) -> list[Row]:
        """One transaction, halved if the database refuses it until only the guilty are left."""
        try:
            orphans = await self._recording.record([recorded(report) for _, report in told], attempt, now)
        except Invalid as error:
            if len(told) == 1:
                return [letter(told[0][0], error.message, now)]
            half = len(told) // 2
            return [*await self._some(told[:half], attempt, now), *await self._some(told[half:], attempt, now)]
        return [
            letter(told[at][0], f"Flow run {told[at][1].flow_run_id} does not exist.", now) for at in sorted(orphans)
        ]


class TaskRunReportService:
    """Takes compact reports in."""

    def __init__(self, recorder: Recorder, events: Events, clock: Clock, fences: Fences | None = None) -> None:
        self._fences = fences
        self._recorder = recorder
        self._events = events
        self._clock = clock

    async def take(self, batch: Sequence[msgspec.Raw], attempt: int | None, fence: Caller | None = None) -> None:
        """Record a batch; it may be sent again. `attempt` is the flow run's attempt that reports (DESIGN §3).

        Raises FencedError or LeaseLostError if some are of a run that is not the sender's any more; the others count.
        """
        now = self._clock.now()
        letters: list[Row] = []
        for start in range(0, len(batch), MOST_AT_ONCE):
            some = batch[start : start + MOST_AT_ONCE]
            told, unreadable = _read(some, now)
            letters += unreadable
            runs = [report.flow_run_id for _, report in told]
            kept = Kept({}) if self._fences is None else await self._fences.kept(runs, fence)
            letters += await self._recorder.record(kept.of(told, runs), attempt, now)
            kept.close()
            await asyncio.sleep(0)
        if letters:
            await self._events.bury(letters)


def _read(batch: Sequence[msgspec.Raw], now: datetime) -> tuple[list[Told], list[Row]]:
    """The reports of a batch, and letters about what is none."""
    try:
        return list(zip(batch, _read_many(b"[%b]" % b",".join(batch)), strict=True)), []
    except msgspec.ValidationError:
        told: list[Told] = []
        letters = []
        for raw in batch:
            try:
                told.append((raw, _read_one(raw)))
            except msgspec.ValidationError as error:
                letters.append(letter(raw, str(error), now))
        return told, letters


def letter(raw: msgspec.Raw, reason: str, now: datetime) -> Row:
    """A dead letter: what came, and why nobody could use it."""
    return {"id": new_id(), "received": now, "reason": reason, "payload": _read_any(raw)}


def is_task_run_report(event: IncomingEvent) -> bool:
    """True for what a task engine says of its own task run; other services' events only look like it."""
    return event.event.startswith(_TASK_RUN) and event.resource.get("prefect.orchestration") == "client"


def report_of(event: IncomingEvent) -> TaskRunReport:
    """What an event says, as a report. Raises Invalid or msgspec.ValidationError."""
    payload = _read_payload(event.payload)
    run, state = payload.task_run, payload.validated_state
    flow_run = event.related_as("flow-run")
    entered = EnteredState(
        event.id, state.type, event.occurred, state.name, state.message, state.data, state.state_details
    )
    return TaskRunReport(
        id=_id(event.resource.get("prefect.resource.id"), _TASK_RUN, "resource"),
        flow_run_id=None if flow_run is None else _id(flow_run, _FLOW_RUN, "related flow-run"),
        states=[entered],
        name=run.name,
        task_key=run.task_key,
        dynamic_key=run.dynamic_key,
        cache_key=run.cache_key,
        cache_expiration=run.cache_expiration,
        task_version=run.task_version,
        empirical_policy=run.empirical_policy,
        tags=run.tags,
        labels=run.labels,
        task_inputs=run.task_inputs,
        run_count=run.run_count,
        flow_run_run_count=run.flow_run_run_count,
        expected_start_time=run.expected_start_time,
        start_time=run.start_time,
        end_time=run.end_time,
        total_run_time=_seconds(run.total_run_time),
    )


def _id(name: str | None, prefix: str, what: str) -> UUID:
    try:
        if name is not None and name.startswith(prefix):
            return UUID(name.removeprefix(prefix))
    except ValueError:
        pass
    raise Invalid(f"The {what} is '{name}', expected '{prefix}<uuid>'.")


def _seconds(duration: float | timedelta) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


_NO_RETRIES = TaskRunPolicy()


def recorded(report: TaskRunReport) -> RecordedRun:
    """What the record keeps. Times that an engine left out follow from its states (CONTRACT §2.3)."""
    newest = report.states[-1]
    occurred = newest.timestamp
    end = (report.end_time or occurred) if newest.type in TERMINAL else None
    due = None
    if newest.type is StateType.SCHEDULED:
        due = moment((newest.state_details and newest.state_details.scheduled_time) or occurred)
    return RecordedRun(
        report.id,
        report.flow_run_id,
        report.name,
        report.task_key,
        report.dynamic_key,
        report.cache_key,
        report.cache_expiration,
        report.task_version,
        report.empirical_policy or _NO_RETRIES,
        report.tags or [],
        report.labels or {},
        report.task_inputs or {},
        report.run_count,
        report.flow_run_run_count,
        report.expected_start_time or report.states[0].timestamp,
        due,
        report.start_time or (occurred if newest.type is StateType.RUNNING else end),
        end,
        report.total_run_time,
        [
            RecordedState(
                state.id,
                state.type.value,
                state.name or default_name(state.type),
                state.timestamp,
                state.message,
                state.data,
                _details(state.state_details, report),
            )
            for state in report.states
        ],
    )


def _details(details: StateDetails | None, report: TaskRunReport) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if details is not None:
        told = msgspec.structs.asdict(details)
        kept = {name: value for name, value in told.items() if value is not None and value is not False}
    kept["task_run_id"] = report.id
    if report.flow_run_id is not None:
        kept["flow_run_id"] = report.flow_run_id
    return kept
