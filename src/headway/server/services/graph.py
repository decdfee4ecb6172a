"""The graph of a flow run: what ran in it, what depended on what, what ran inside of what (graph-v2).

A task run that stands for a subflow is shown as that subflow's run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headway.core.errors import NotFound, RequestError
from headway.core.states import StateType
from headway.server.services.shaping import shaped
from headway.store.protocols import Graphs, Row
from headway.wire.graph import Edge, Graph, GraphState, Node

__all__ = ["MAX_NODES", "GraphService"]

MAX_NODES = 10_000
"""More task runs than this cannot be drawn (the reference's limit)."""
PARENTS = "__parents__"
"""The key under which task inputs name the runs that a run happened inside of."""
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class GraphService:
    """Draws graphs; `max_nodes` bounds them."""

    def __init__(self, store: Graphs, max_nodes: int = MAX_NODES) -> None:
        self._store = store
        self._max_nodes = max_nodes

    async def of_run(self, id: UUID, since: datetime) -> Graph:
        """The graph, without nodes that ended before `since`. Raises NotFound; RequestError if it is too large."""
        found = await self._store.of_run(id, self._max_nodes + 1)
        if found is None:
            raise NotFound(f"Flow run {id} not found.")
        if len(found["task_runs"]) > self._max_nodes:
            raise RequestError(f"The graph of flow run {id} has more than {self._max_nodes} nodes.")
        run = found["run"]
        nodes = [node for node in _nodes(found["task_runs"], found["children"]) if not _is_over(node, since)]
        return Graph(
            start_time=run["start_time"] or run["expected_start_time"],
            end_time=run["end_time"],
            root_node_ids=[node.id for node in nodes if not node.parents],
            nodes=[(node.id, node) for node in nodes],
            artifacts=[],
            states=[shaped(GraphState, state) for state in found["states"]],
        )


def _is_over(node: Node, since: datetime) -> bool:
    return node.end_time is not None and node.end_time < since


@dataclass(slots=True)
class _Links:
    """Edges as ids of nodes, each once."""

    parents: dict[UUID, None] = field(default_factory=dict)
    children: dict[UUID, None] = field(default_factory=dict)
    encapsulating: dict[UUID, None] = field(default_factory=dict)


def _nodes(tasks: Iterable[Row], children: Iterable[Row]) -> list[Node]:
    """All nodes with their edges, in the order in which they started."""
    shown: dict[UUID, tuple[Row, Row | None]] = {}  # node id → task run and the flow run it stands for
    stands_for: dict[UUID, list[UUID]] = defaultdict(list)  # id of a task run or flow run → ids of its nodes
    by_parent: dict[UUID, list[Row]] = defaultdict(list)
    for child in children:
        by_parent[child["parent_task_run_id"]].append(child)
    for task in tasks:
        stand_ins: Sequence[Row | None] = by_parent[task["id"]] or [None]
        for child_row in stand_ins:
            node_id = task["id"] if child_row is None else child_row["id"]
            if _start(task, child_row) is not None and _state_type(task, child_row) is not None:
                shown[node_id] = (task, child_row)
                stands_for[task["id"]].append(node_id)
                if child_row is not None:
                    stands_for[node_id].append(node_id)
    order = sorted(shown, key=lambda id: _rank(id, *shown[id]))
    links = _links(order, shown, stands_for)
    return [_node(id, *shown[id], links[id]) for id in order]


def _links(
    order: list[UUID], shown: Mapping[UUID, tuple[Row, Row | None]], stands_for: Mapping[UUID, list[UUID]]
) -> dict[UUID, _Links]:
    links = {id: _Links() for id in order}
    place = {id: at for at, id in enumerate(order)}
    for id in order:
        for key, inputs in (shown[id][0]["task_inputs"] or {}).items():
            named = [UUID(one["id"]) for one in inputs if one.get("id")]
            sources = sorted({node for name in named for node in stands_for.get(name, ())}, key=place.__getitem__)
            for source in sources:
                if key == PARENTS:
                    links[id].encapsulating[source] = None
                else:
                    links[id].parents[source] = None
                    links[source].children[id] = None
    return links


def _node(id: UUID, task: Row, child: Row | None, links: _Links) -> Node:
    return Node(
        kind="task-run" if child is None else "flow-run",
        id=id,
        label=task["name"] if child is None else f"{child['flow_name']} / {child['name']}",
        state_type=StateType(_state_type(task, child)),
        start_time=_start(task, child),
        end_time=_end(task, child),
        parents=[Edge(id=other) for other in links.parents],
        children=[Edge(id=other) for other in links.children],
        encapsulating=[Edge(id=other) for other in links.encapsulating],
        artifacts=[],
    )


def _start(task: Row, child: Row | None) -> Any:
    own = task["start_time"] or task["expected_start_time"]
    if child is None:
        return own
    return child["start_time"] or child["expected_start_time"] or own


def _end(task: Row, child: Row | None) -> Any:
    if child is not None and child["end_time"] is not None:
        return child["end_time"]
    if task["end_time"] is None and task["state_type"] == StateType.COMPLETED:
        return task["expected_start_time"]
    return task["end_time"]


def _state_type(task: Row, child: Row | None) -> Any:
    return (child or task)["state_type"]


def _rank(id: UUID, task: Row, child: Row | None) -> tuple[datetime, datetime, UUID]:
    return _start(task, child) or _END_OF_TIME, _end(task, child) or _END_OF_TIME, id
