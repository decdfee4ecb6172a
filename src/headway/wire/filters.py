"""The grammar of /filter bodies: one struct per resource, whose fields hold criteria of a few shared shapes.

Operators end in an underscore. Criteria of one struct are joined by its `operator` (and_ unless or_).
A field left out, or null, filters nothing. Everything is as the reference's OpenAPI has it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from headway.core.states import StateType
from headway.wire.base import Request

__all__ = [
    "CreatedByCriteria",
    "DeploymentFilter",
    "Exists",
    "FlowFilter",
    "FlowRunFilter",
    "FlowRunOfTask",
    "IdAny",
    "IdAnyIn",
    "IdAnyNot",
    "IdAnyNull",
    "Is",
    "IsNullIn",
    "Like",
    "LogFilter",
    "LogTaskRun",
    "NameAny",
    "NameAnyLike",
    "NameAnyNot",
    "NameAnyNull",
    "NameAnyStarts",
    "NumberRange",
    "NumberRangeNull",
    "Operator",
    "Scope",
    "StateCriteria",
    "StateTypes",
    "StateTypesNot",
    "Tags",
    "TagsAll",
    "TaskRunFilter",
    "TaskRunStateCriteria",
    "TextQuery",
    "TimeRange",
    "TimeRangeNull",
    "WorkPoolFilter",
    "WorkQueueFilter",
    "WorkerFilter",
    "WorkerStatus",
    "WorkerStatuses",
]


class Operator(StrEnum):
    AND = "and_"
    OR = "or_"


class WorkerStatus(StrEnum):
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class Joined(Request):
    """Criteria that are joined by `operator`."""

    operator: Operator = Operator.AND


# Shapes of criteria: which operators a field takes, and on what.


class IdAny(Request):
    any_: list[UUID] | None = None


class IdAnyNot(Request):
    any_: list[UUID] | None = None
    not_any_: list[UUID] | None = None


class IdAnyNull(Joined):
    any_: list[UUID] | None = None
    is_null_: bool | None = None


class IdAnyIn(Joined):
    any_: list[UUID] | None = None


class FlowRunOfTask(Joined):
    """Of these flow runs, or (`is_null_`) of none; with neither said, of any but not of none."""

    any_: list[UUID] | None = None
    is_null_: bool | None = False

    def __post_init__(self) -> None:
        if self.is_null_:
            self.any_ = None
        elif self.any_ is not None:
            self.is_null_ = None


class LogTaskRun(Request):
    any_: list[UUID] | None = None
    is_null_: bool | None = None


class NameAny(Request):
    any_: list[str] | None = None


class NameAnyNot(Request):
    any_: list[str] | None = None
    not_any_: list[str] | None = None


class NameAnyLike(Request):
    """`like_` finds the text anywhere, in any case."""

    any_: list[str] | None = None
    like_: str | None = None


class NameAnyNull(Joined):
    any_: list[str] | None = None
    is_null_: bool | None = None


class NameAnyStarts(Request):
    any_: list[str] | None = None
    startswith_: list[str] | None = None


class Like(Request):
    like_: str | None = None


class TextQuery(Request):
    """At least one of the words, none with a `-`, all with a `+`; a "phrase" is one word; in any case."""

    query: Annotated[str, Meta(max_length=200)]


class TagsAll(Joined):
    """`all_`: has every one of these; `is_null_`: has none at all."""

    all_: list[str] | None = None
    is_null_: bool | None = None


class Tags(TagsAll):
    any_: list[str] | None = None


class TimeRange(Request):
    """Both ends are included."""

    before_: datetime | None = None
    after_: datetime | None = None


class TimeRangeNull(TimeRange):
    is_null_: bool | None = None


class NumberRange(Request):
    ge_: int | None = None
    le_: int | None = None


class NumberRangeNull(NumberRange):
    is_null_: bool | None = None


class Is(Request):
    eq_: bool | None = None


class IsNullIn(Joined):
    is_null_: bool | None = None


class Exists(Request):
    exists_: bool | None = None


class StateTypes(Request):
    any_: list[StateType] | None = None


class StateTypesNot(Request):
    any_: list[StateType] | None = None
    not_any_: list[StateType] | None = None


class StateCriteria(Joined):
    type: StateTypesNot | None = None
    name: NameAnyNot | None = None


class TaskRunStateCriteria(Joined):
    type: StateTypes | None = None
    name: NameAny | None = None


class CreatedByCriteria(Joined):
    id_: list[UUID] | None = None
    type_: list[str] | None = None
    is_null_: bool | None = None


class WorkerStatuses(Request):
    any_: list[WorkerStatus] | None = None
    not_any_: list[WorkerStatus] | None = None


# One filter per resource.


class FlowFilter(Joined):
    id: IdAnyNot | None = None
    deployment: IsNullIn | None = None
    name: NameAnyLike | None = None
    tags: TagsAll | None = None


class FlowRunFilter(Joined):
    id: IdAnyNot | None = None
    name: NameAnyLike | None = None
    tags: Tags | None = None
    deployment_id: IdAnyNull | None = None
    work_queue_name: NameAnyNull | None = None
    state: StateCriteria | None = None
    flow_version: NameAny | None = None
    start_time: TimeRangeNull | None = None
    end_time: TimeRangeNull | None = None
    expected_start_time: TimeRange | None = None
    next_scheduled_start_time: TimeRange | None = None
    parent_flow_run_id: IdAnyIn | None = None
    parent_task_run_id: IdAnyNull | None = None
    idempotency_key: NameAnyNot | None = None
    created_by: CreatedByCriteria | None = None


class TaskRunFilter(Joined):
    id: IdAny | None = None
    name: NameAnyLike | None = None
    tags: TagsAll | None = None
    state: TaskRunStateCriteria | None = None
    start_time: TimeRangeNull | None = None
    end_time: TimeRangeNull | None = None
    expected_start_time: TimeRange | None = None
    subflow_runs: Exists | None = None
    flow_run_id: FlowRunOfTask | None = None


class DeploymentFilter(Joined):
    id: IdAnyNot | None = None
    name: NameAnyLike | None = None
    flow_or_deployment_name: Like | None = None
    paused: Is | None = None
    tags: Tags | None = None
    work_queue_name: NameAny | None = None
    concurrency_limit: NumberRangeNull | None = None


class WorkPoolFilter(Joined):
    id: IdAny | None = None
    name: NameAny | None = None
    type: NameAny | None = None


class WorkQueueFilter(Joined):
    id: IdAny | None = None
    name: NameAnyStarts | None = None


class WorkerFilter(Joined):
    last_heartbeat_time: TimeRange | None = None
    status: WorkerStatuses | None = None


class LogFilter(Joined):
    level: NumberRange | None = None
    timestamp: TimeRange | None = None
    flow_run_id: IdAny | None = None
    task_run_id: LogTaskRun | None = None
    text: TextQuery | None = None


class Scope(Request):
    """The nested filters of one body: a row counts if it, and what it belongs to, pass every one given.

    `work_queues` means the same as `work_pool_queues`; some of the reference's routes and clients say it so.
    """

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None
    work_pools: WorkPoolFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None
    work_queues: WorkQueueFilter | None = None
