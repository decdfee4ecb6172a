"""From what user code returned to the state its run ends in."""

from __future__ import annotations

from typing import Any

from headway.sdk.futures import SIMPLE, TaskFuture
from headway.sdk.states import NOTHING, Completed, State, combine

__all__ = ["final_state", "pending_futures"]


def pending_futures(value: Any) -> list[TaskFuture[Any]]:
    """Futures that were returned, alone or in a list, tuple or set."""
    if isinstance(value, TaskFuture):
        return [value]
    if isinstance(value, list | tuple | set):
        return [item for item in value if isinstance(item, TaskFuture)]
    return []


def final_state(value: Any) -> State:
    """A state as it is; futures and collections of states as one state; anything else as Completed with it.

    Futures must be done.
    """
    if type(value) in SIMPLE:
        return Completed(data=value)
    if isinstance(value, State):
        if value.is_completed() and not value.has_value and value.data is None:
            value.keep(None)
        return value
    if isinstance(value, TaskFuture):
        return _of_future(value.state)
    if isinstance(value, list | tuple | set) and value and all(isinstance(i, State | TaskFuture) for i in value):
        states = [item if isinstance(item, State) else item.state for item in value]
        if all(isinstance(item, TaskFuture) for item in value) and all(state.is_completed() for state in states):
            return Completed(message="All states completed.", data=[state.result() for state in states])
        return combine(states)
    return Completed(data=value)


def _of_future(state: State) -> State:
    """A new state like that of a task run: one state belongs to one run."""
    return State(state.type, state.name, state.message, value=state.value if state.has_value else NOTHING)
