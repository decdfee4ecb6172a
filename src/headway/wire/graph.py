"""The run graph of GET /flow_runs/{id}/graph-v2."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from headway.wire.base import Reply
from headway.wire.states import StateType

__all__ = ["Edge", "Graph", "GraphArtifact", "GraphState", "Node"]


class Edge(Reply):
    id: UUID


class GraphArtifact(Reply):
    id: UUID
    created: datetime
    key: str | None
    type: str | None
    is_latest: bool
    data: Any


class GraphState(Reply):
    id: UUID
    timestamp: datetime
    type: StateType
    name: str


class Node(Reply):
    """A task run or a subflow run; `encapsulating` are the runs it ran inside of."""

    kind: Literal["flow-run", "task-run"]
    id: UUID
    label: str
    state_type: StateType
    start_time: datetime
    end_time: datetime | None
    parents: list[Edge]
    children: list[Edge]
    encapsulating: list[Edge]
    artifacts: list[GraphArtifact]


class Graph(Reply):
    """`nodes` are pairs of id and node, ordered by start."""

    start_time: datetime | None
    end_time: datetime | None
    root_node_ids: list[UUID]
    nodes: list[tuple[UUID, Node]]
    artifacts: list[GraphArtifact]
    states: list[GraphState]
