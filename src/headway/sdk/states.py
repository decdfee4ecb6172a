"""States as flow authors see them: what the run is in, and the value or exception it ended with.

`State` carries the live Python value beside what goes over the wire. Constructors for each kind have the
names of the field: `Completed`, `Failed`, `Crashed`, `Cancelled`, `Running`, …; a flow may return or raise them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headway.core.errors import CancelledRun, CrashedRun, FailedRun, MissingResult, PausedRun
from headway.core.ids import new_id
from headway.core.states import TERMINAL, StateType, default_name

__all__ = [
    "NOTHING",
    "AwaitingRetry",
    "Cancelled",
    "Completed",
    "Crashed",
    "Failed",
    "Paused",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateType",
    "combine",
    "from_exception",
]


class _Nothing:
    """The absence of a value, which None cannot say. There is one, also after pickling."""

    def __reduce__(self) -> str:
        return "NOTHING"

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()


_NAMES: Mapping[StateType, str] = {type: default_name(type) for type in StateType}


class State(Exception):
    """One state of one run. `data` is what goes over the wire, `result()` the Python value.

    It is an exception so that user code may end its run with `raise Failed("…")` as well as by returning it.
    """

    def __init__(
        self,
        type: StateType,
        name: str | None = None,
        message: str | None = None,
        *,
        value: Any = NOTHING,
        data: Any = None,
        details: Mapping[str, Any] | None = None,
        id: UUID | None = None,
        timestamp: datetime | None = None,
        reader: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.name = name or _NAMES[type]
        self.message = message
        self.data = data
        self.details: dict[str, Any] = dict(details) if details else {}
        self.id = id or new_id()
        self.timestamp = timestamp or datetime.now(UTC)
        self._value = value
        self._reader = reader

    def __repr__(self) -> str:
        words = f"{self.name}({self.message!r})" if self.message else f"{self.name}()"
        return words if self.name.upper() == self.type else f"{words} type={self.type.value}"

    def __str__(self) -> str:
        return repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (dict(self.__dict__),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and (self.type, self.name, self.id) == (other.type, other.name, other.id)

    def __hash__(self) -> int:
        return hash(self.id)

    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    def is_cancelling(self) -> bool:
        return self.type is StateType.CANCELLING

    def is_paused(self) -> bool:
        return self.type is StateType.PAUSED

    def is_final(self) -> bool:
        return self.type in TERMINAL

    @property
    def has_value(self) -> bool:
        """Whether the live value or exception is at hand."""
        return self._value is not NOTHING

    @property
    def value(self) -> Any:
        """The live value or exception, or NOTHING."""
        return self._value

    def keep(self, value: Any, data: Any = None) -> None:
        """Attach the live value, and the metadata of where it is persisted."""
        self._value = value
        if data is not None:
            self.data = data

    def without_value(self) -> State:
        """The same state as another process may have it: what it says, not the value or exception behind it."""
        return State(
            self.type,
            self.name,
            self.message,
            data=self.data,
            details=self.details,
            id=self.id,
            timestamp=self.timestamp,
        )

    def result(self, raise_on_failure: bool = True) -> Any:
        """The value the run returned. A run that failed raises its exception, or returns it if asked not to.

        Raises MissingResult if the value was not kept, PausedRun if the run is paused.
        """
        if self.type in (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED):
            error = self._error()
            if raise_on_failure:
                raise error
            return error
        if self.type is StateType.PENDING and isinstance(self._value, BaseException):  # NotReady
            if raise_on_failure:
                raise self._value
            return self._value
        if self.type is StateType.PAUSED:
            raise PausedRun("The run is paused and has no result yet.")
        if self._value is not NOTHING:
            return self._value
        if self.data is not None and self._reader is not None:
            self._value = self._reader(self.data)
            return self._value
        raise MissingResult(
            f"The result of this {self.name} run was not kept. Persist it with persist_result=True to read it later."
        )

    def _error(self) -> BaseException:
        if isinstance(self._value, State):
            return self._value._error()
        if isinstance(self._value, BaseException):
            return self._value
        kinds = {StateType.CRASHED: CrashedRun, StateType.CANCELLED: CancelledRun}
        if self._value is not NOTHING and isinstance(self._value, str):
            return kinds.get(self.type, FailedRun)(self._value)
        return kinds.get(self.type, FailedRun)(self.message or f"The run is {self.name}.")


def _restore(fields: dict[str, Any]) -> State:
    state = State(fields["type"])
    state.__dict__.update(fields)
    return state


def _maker(type: StateType, default_name: str) -> Callable[..., State]:
    def make(message: str | None = None, *, name: str | None = None, data: Any = NOTHING, **details: Any) -> State:
        return State(type, name or default_name, message, value=data, details=details)

    make.__name__ = make.__qualname__ = default_name
    make.__doc__ = f"A {default_name} state; `data` is its value."
    return make


Scheduled = _maker(StateType.SCHEDULED, "Scheduled")
AwaitingRetry = _maker(StateType.SCHEDULED, "AwaitingRetry")
Pending = _maker(StateType.PENDING, "Pending")
Running = _maker(StateType.RUNNING, "Running")
Retrying = _maker(StateType.RUNNING, "Retrying")
Completed = _maker(StateType.COMPLETED, "Completed")
Failed = _maker(StateType.FAILED, "Failed")
Crashed = _maker(StateType.CRASHED, "Crashed")
Cancelled = _maker(StateType.CANCELLED, "Cancelled")
Paused = _maker(StateType.PAUSED, "Paused")


def from_exception(error: BaseException, prefix: str) -> State:
    """The state of a run that ended with `error`: TimedOut, Cancelled, Failed or, for a BaseException, Crashed."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, State):
        return error
    if isinstance(error, RunTimeout):
        return State(StateType.FAILED, "TimedOut", str(error), value=error)
    if isinstance(error, CancelledRun):
        return State(StateType.CANCELLED, None, str(error), value=error)
    if isinstance(error, Exception):
        return State(StateType.FAILED, None, f"{prefix}: {text}", value=error)
    return State(StateType.CRASHED, None, f"Execution was interrupted by {text}.", value=error)


class RunTimeout(TimeoutError):
    """A run took longer than its `timeout_seconds`."""


def combine(states: list[State]) -> State:
    """One state for many: Completed if all are, else Failed, saying how many."""
    bad = [state for state in states if not state.is_completed()]
    if not bad:
        return Completed(message="All states completed.", data=states)
    return State(StateType.FAILED, None, f"{len(bad)}/{len(states)} states failed.", value=bad[0]._error())
