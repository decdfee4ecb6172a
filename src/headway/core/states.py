"""What a run can be in: nine state types, their usual names, and a constructor for each.

`State.details` are the wire's `state_details` as plain JSON values (times are ISO 8601 strings); the
properties parse the ones that rules look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from headway.core.copying import replace
from headway.core.ids import new_id

__all__ = [
    "OCCUPYING",
    "TERMINAL",
    "AwaitingConcurrencySlot",
    "AwaitingRetry",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Late",
    "Paused",
    "Pending",
    "Resuming",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateType",
    "Suspended",
    "TimedOut",
    "default_name",
]


class StateType(StrEnum):
    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


TERMINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})
OCCUPYING = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING})
"""The types in which a run holds its concurrency slots (CONTRACT §2.1 rule 17)."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


def default_name(type: StateType) -> str:
    """The name a state has when none is given, e.g. "Completed"."""
    return type.value.capitalize()


@dataclass(frozen=True, slots=True)
class State:
    """One state of one run, entered at `timestamp` (UTC); `data` is any JSON value (result metadata)."""

    type: StateType
    name: str
    message: str | None = None
    data: Any = None
    details: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: UUID = field(default_factory=new_id)

    @property
    def is_final(self) -> bool:
        return self.type in TERMINAL

    @property
    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    @property
    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    @property
    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    @property
    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    @property
    def is_failed(self) -> bool:
        return self.type is StateType.FAILED

    @property
    def is_crashed(self) -> bool:
        return self.type is StateType.CRASHED

    @property
    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    @property
    def is_cancelling(self) -> bool:
        return self.type is StateType.CANCELLING

    @property
    def is_paused(self) -> bool:
        return self.type is StateType.PAUSED

    @property
    def scheduled_time(self) -> datetime | None:
        return moment(self.details.get("scheduled_time"))

    @property
    def pause_timeout(self) -> datetime | None:
        return moment(self.details.get("pause_timeout"))

    @property
    def transition_id(self) -> str | None:
        value = self.details.get("transition_id")
        return None if value is None else str(value)

    def with_details(self, **changes: Any) -> State:
        """A copy whose details have these changes; times and ids become plain JSON, None removes the key."""
        details = dict(self.details)
        for key, value in changes.items():
            if value is None:
                details.pop(key, None)
            else:
                details[key] = plain(value)
        return replace(self, details=details)

    def to_row(self) -> dict[str, Any]:
        """The columns that every table of states has, by the wire's names."""
        return {
            "id": self.id,
            "type": self.type.value,
            "name": self.name,
            "timestamp": self.timestamp,
            "message": self.message,
            "data": self.data,
            "state_details": dict(self.details),
        }


def plain(value: Any) -> Any:
    """A detail as plain JSON."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    return value


def moment(value: Any) -> datetime | None:
    """A detail as a UTC time; a time without a zone is taken as UTC."""
    if value is None:
        return None
    parsed = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if parsed.tzinfo is UTC:
        return parsed
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _state(type: StateType, name: str, message: str | None, data: Any, details: Mapping[str, Any]) -> State:
    return State(type=type, name=name, message=message, data=data).with_details(**details)


def Scheduled(
    at: datetime | None = None,
    *,
    name: str = "Scheduled",
    message: str | None = None,
    data: Any = None,
    **details: Any,
) -> State:
    """To be started at `at` (default: now)."""
    details["scheduled_time"] = at or datetime.now(UTC)
    return _state(StateType.SCHEDULED, name, message, data, details)


def Late(at: datetime | None = None, **more: Any) -> State:
    """Should have been started at `at` and was not."""
    return Scheduled(at, name="Late", **more)


def AwaitingRetry(at: datetime | None = None, **more: Any) -> State:
    return Scheduled(at, name="AwaitingRetry", **more)


def AwaitingConcurrencySlot(at: datetime | None = None, **more: Any) -> State:
    return Scheduled(at, name="AwaitingConcurrencySlot", **more)


def Resuming(at: datetime | None = None, **more: Any) -> State:
    """A suspended run on its way back."""
    return Scheduled(at, name="Resuming", **more)


def Pending(message: str | None = None, *, name: str = "Pending", data: Any = None, **details: Any) -> State:
    return _state(StateType.PENDING, name, message, data, details)


def Running(message: str | None = None, *, name: str = "Running", data: Any = None, **details: Any) -> State:
    return _state(StateType.RUNNING, name, message, data, details)


def Retrying(message: str | None = None, **more: Any) -> State:
    return Running(message, name="Retrying", **more)


def Completed(message: str | None = None, *, name: str = "Completed", data: Any = None, **details: Any) -> State:
    return _state(StateType.COMPLETED, name, message, data, details)


def Failed(message: str | None = None, *, name: str = "Failed", data: Any = None, **details: Any) -> State:
    return _state(StateType.FAILED, name, message, data, details)


def TimedOut(message: str | None = None, **more: Any) -> State:
    return Failed(message, name="TimedOut", **more)


def Crashed(message: str | None = None, *, name: str = "Crashed", data: Any = None, **details: Any) -> State:
    return _state(StateType.CRASHED, name, message, data, details)


def Cancelled(message: str | None = None, *, name: str = "Cancelled", data: Any = None, **details: Any) -> State:
    return _state(StateType.CANCELLED, name, message, data, details)


def Cancelling(message: str | None = None, *, name: str = "Cancelling", data: Any = None, **details: Any) -> State:
    return _state(StateType.CANCELLING, name, message, data, details)


def Paused(
    message: str | None = None,
    *,
    name: str = "Paused",
    data: Any = None,
    pause_timeout: datetime | None = None,
    pause_key: str | None = None,
    pause_reschedule: bool = False,
    **details: Any,
) -> State:
    """Waiting for a `resume` until `pause_timeout`; the process stays unless `pause_reschedule`."""
    details |= {"pause_timeout": pause_timeout, "pause_key": pause_key, "pause_reschedule": pause_reschedule}
    return _state(StateType.PAUSED, name, message, data, details)


def Suspended(message: str | None = None, **more: Any) -> State:
    """Paused with the process gone; a resume starts a new one."""
    return Paused(message, name="Suspended", **{**more, "pause_reschedule": True})
