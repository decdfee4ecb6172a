"""Flows: a name, tags and labels; a flow is made by naming it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from headway.wire.base import UNSET, BulkLimit, Labels, Limit, Name, Offset, PageNumber, Reply, Request, UnsetType
from headway.wire.filters import FlowFilter, Scope

__all__ = [
    "Flow",
    "FlowBulkDelete",
    "FlowBulkDeleted",
    "FlowCount",
    "FlowCreate",
    "FlowPage",
    "FlowPageQuery",
    "FlowQuery",
    "FlowSort",
    "FlowUpdate",
]


class FlowCreate(Request):
    name: Name
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None


class FlowUpdate(Request):
    tags: list[str] | UnsetType = UNSET


class Flow(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    tags: list[str] = msgspec.field(default_factory=list)
    labels: Labels | None = None


class FlowSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class FlowCount(Scope):
    """POST /flows/count."""


class FlowQuery(Scope):
    """POST /flows/filter."""

    sort: FlowSort | None = FlowSort.NAME_ASC
    offset: Offset | None = 0
    limit: Limit | None = None


class FlowPageQuery(Scope):
    """POST /flows/paginate."""

    sort: FlowSort | None = FlowSort.NAME_ASC
    page: PageNumber | None = 1
    limit: Limit | None = None


class FlowPage(Reply):
    results: list[Flow]
    count: int
    limit: int
    pages: int
    page: int


class FlowBulkDelete(Request):
    flows: FlowFilter | None = None
    limit: BulkLimit | None = 50


class FlowBulkDeleted(Reply):
    deleted: list[UUID]
