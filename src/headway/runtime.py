"""What is running: `headway.runtime.flow_run`, `.task_run` and `.deployment`; all None outside of runs.

from headway.runtime import flow_run
print(flow_run.id, flow_run.name, flow_run.parameters)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from headway.sdk.context import FLOW, TASK, FlowRunContext

T = TypeVar("T")

__all__ = ["deployment", "flow_run", "task_run"]


class _FlowRun:
    """The flow run around this code."""

    @property
    def id(self) -> UUID | None:
        return _of(lambda flow: flow.run.id)

    @property
    def name(self) -> str | None:
        return _of(lambda flow: flow.run.name)

    @property
    def flow_name(self) -> str | None:
        return _of(lambda flow: flow.flow.name)

    @property
    def flow_version(self) -> str | None:
        return _of(lambda flow: flow.flow.version)

    @property
    def parameters(self) -> dict[str, Any]:
        return _of(lambda flow: dict(flow.parameters)) or {}

    @property
    def tags(self) -> list[str]:
        return _of(lambda flow: list(flow.run.tags)) or []

    @property
    def run_count(self) -> int:
        """1 on the first try, 2 on the second, …; 0 outside of runs."""
        return _of(lambda flow: flow.run_count) or 0

    @property
    def scheduled_start_time(self) -> datetime | None:
        return _of(lambda flow: flow.run.expected_start_time)

    @property
    def parent_flow_run_id(self) -> UUID | None:
        return _of(lambda flow: flow.parent.run.id if flow.parent is not None else None)

    @property
    def root_flow_run_id(self) -> UUID | None:
        return _of(lambda flow: _root(flow).run.id)


class _TaskRun:
    """The task run around this code."""

    @property
    def id(self) -> UUID | None:
        task = TASK.get()
        return None if task is None else task.info.id

    @property
    def name(self) -> str | None:
        task = TASK.get()
        return None if task is None else task.info.name

    @property
    def task_name(self) -> str | None:
        task = TASK.get()
        return None if task is None else task.task.name

    @property
    def parameters(self) -> dict[str, Any]:
        task = TASK.get()
        return {} if task is None else dict(task.parameters)

    @property
    def tags(self) -> list[str]:
        task = TASK.get()
        return [] if task is None else list(task.info.tags)

    @property
    def run_count(self) -> int:
        task = TASK.get()
        return 0 if task is None else task.info.run_count


class _Deployment:
    """The deployment the flow run around this code was made from."""

    @property
    def id(self) -> UUID | None:
        return _of(lambda flow: _root(flow).run.deployment_id)

    @property
    def flow_run_id(self) -> UUID | None:
        return _of(lambda flow: _root(flow).run.id if _root(flow).run.deployment_id else None)

    @property
    def parameters(self) -> dict[str, Any]:
        return _of(lambda flow: dict(_root(flow).run.parameters) if _root(flow).run.deployment_id else None) or {}


def _of(read: Callable[[FlowRunContext], T]) -> T | None:
    flow = FLOW.get()
    return None if flow is None else read(flow)


def _root(flow: FlowRunContext) -> FlowRunContext:
    while flow.parent is not None:
        flow = flow.parent
    return flow


flow_run = _FlowRun()
task_run = _TaskRun()
deployment = _Deployment()
