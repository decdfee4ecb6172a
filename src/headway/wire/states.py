"""States of flow runs and task runs, what clients propose, and what the server answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from headway.core import states as core
from headway.core.states import StateType
from headway.wire.base import Part, Reply, Request

__all__ = [
    "AbortDetails",
    "AcceptDetails",
    "OrchestrationResult",
    "RejectDetails",
    "ResponseDetails",
    "SetState",
    "SetStateStatus",
    "State",
    "StateCreate",
    "StateDetails",
    "StateType",
    "WaitDetails",
]


class StateDetails(Part):
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: datetime | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    traceparent: str | None = None
    deployment_concurrency_lease_id: UUID | None = None


class State(Reply):
    id: UUID
    type: StateType
    timestamp: datetime
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails = msgspec.field(default_factory=StateDetails)

    @classmethod
    def of(cls, state: core.State) -> State:
        return cls(
            id=state.id,
            type=state.type,
            name=state.name,
            timestamp=state.timestamp,
            message=state.message,
            data=state.data,
            state_details=msgspec.convert(dict(state.details), StateDetails),
        )


class StateCreate(Request):
    """A proposed state; the server gives it its id and its timestamp."""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails = msgspec.field(default_factory=StateDetails)

    def proposed(self) -> core.State:
        """As the rules see it: the usual name if none is given, only details that say something."""
        details = self.state_details
        said = _NOTHING_SAID if details == _NO_DETAILS else _said(details)
        name = self.name or core.default_name(self.type)
        return core.State(type=self.type, name=name, message=self.message, data=self.data, details=said)


def _said(details: StateDetails) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(details).items() if value is not None}


_NO_DETAILS = StateDetails()
_NOTHING_SAID = MappingProxyType(_said(_NO_DETAILS))


class SetState(Request):
    state: StateCreate
    force: bool | None = False


class SetStateStatus(StrEnum):
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"


class AcceptDetails(Reply, tag_field="type", tag="accept_details"):
    """The proposed state was written."""


class RejectDetails(Reply, tag_field="type", tag="reject_details"):
    """Another state was written, or none, and the reply's state counts."""

    reason: str | None = None


class AbortDetails(Reply, tag_field="type", tag="abort_details"):
    """Nothing was written and the client should give up."""

    reason: str | None = None


class WaitDetails(Reply, tag_field="type", tag="wait_details"):
    """Nothing was written; propose again after `delay_seconds`."""

    delay_seconds: int
    reason: str | None = None


ResponseDetails = AcceptDetails | RejectDetails | AbortDetails | WaitDetails


class OrchestrationResult(Reply):
    """The answer to a proposed state: what the run's state is now, and what became of the proposal."""

    state: State | None
    status: SetStateStatus
    details: ResponseDetails
