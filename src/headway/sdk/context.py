"""Where code is: the flow run and task run around it, kept in context variables that follow threads and tasks."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headway.core.errors import HeadwayError
from headway.core.settings import Settings

if TYPE_CHECKING:
    from headway.sdk.flows import Flow
    from headway.sdk.futures import TaskFuture
    from headway.sdk.records import TaskRunInfo
    from headway.sdk.results import ResultStore
    from headway.sdk.session import Session
    from headway.sdk.task_runners import TaskRunner
    from headway.sdk.tasks import Task
    from headway.wire.flow_runs import FlowRun

__all__ = [
    "FLOW",
    "TAGS",
    "TASK",
    "FlowRunContext",
    "MissingContext",
    "TaskRunContext",
    "current_context",
    "flow_context",
    "tags",
]


class MissingContext(HeadwayError):
    """Something that only works inside a run was called outside of one."""


def _counters() -> defaultdict[str, itertools.count[int]]:
    return defaultdict(itertools.count)


@dataclass(slots=True, kw_only=True)
class FlowRunContext:
    """A flow run that is being executed in this process."""

    flow: Flow[Any, Any]
    run: FlowRun
    session: Session
    parameters: dict[str, Any]
    results: ResultStore
    is_async: bool
    log_prints: bool
    run_count: int = 1
    runner: TaskRunner | None = None
    parent: FlowRunContext | None = None
    submitted: set[TaskFuture[Any]] = field(default_factory=set)
    pauses: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    counters: defaultdict[str, itertools.count[int]] = field(default_factory=_counters)

    @property
    def settings(self) -> Settings:
        return self.session.settings

    def next_number(self, key: str) -> int:
        """0, 1, 2, … per key; safe from any thread."""
        return next(self.counters[key])


@dataclass(slots=True, kw_only=True)
class TaskRunContext:
    """A task run that is being executed in this process. `session` may be a process pool's relay."""

    task: Task[Any, Any]
    info: TaskRunInfo
    session: Any
    parameters: dict[str, Any]
    is_async: bool
    log_prints: bool

    @property
    def settings(self) -> Settings:
        settings: Settings = self.session.settings
        return settings


FLOW: contextvars.ContextVar[FlowRunContext | None] = contextvars.ContextVar("headway_flow_run", default=None)
TASK: contextvars.ContextVar[TaskRunContext | None] = contextvars.ContextVar("headway_task_run", default=None)
TAGS: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar("headway_tags", default=frozenset())


def _forget_runs() -> None:
    """In a forked child: the run around the fork goes on in the parent; its session does not work here."""
    FLOW.set(None)
    TASK.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_runs)


def flow_context() -> FlowRunContext | None:
    """The flow run around this code, or None."""
    return FLOW.get()


def current_context() -> FlowRunContext | TaskRunContext | None:
    """The innermost run around this code, or None."""
    return TASK.get() or FLOW.get()


@contextlib.contextmanager
def tags(*names: str) -> Iterator[frozenset[str]]:
    """Give these tags to every flow run and task run that begins inside the block."""
    token = TAGS.set(TAGS.get() | frozenset(names))
    try:
        yield TAGS.get()
    finally:
        TAGS.reset(token)
