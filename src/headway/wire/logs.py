"""Log lines of runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from headway.wire.base import Limit, Offset, Reply, Request
from headway.wire.filters import LogFilter

__all__ = ["Log", "LogCreate", "LogQuery", "LogSort"]


Level = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Position = Annotated[int, Meta(ge=0, lt=2**53)]


class LogCreate(Request):
    """POST /logs/ takes a list of these; `level` is logging's number.

    `id`, `attempt` and `position` are Headway's own: a line whose id is there already is ignored, and lines
    of one moment are shown in the order of attempt and position (byte offset in the captured stream).
    """

    name: str
    level: Level
    message: str
    timestamp: datetime
    id: UUID | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    attempt: Level | None = None
    position: Position | None = None


class Log(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogSort(StrEnum):
    TIMESTAMP_ASC = "TIMESTAMP_ASC"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"


class LogQuery(Request):
    """POST /logs/filter."""

    logs: LogFilter | None = None
    sort: LogSort | None = LogSort.TIMESTAMP_ASC
    offset: Offset | None = 0
    limit: Limit | None = None
