"""The task run that stands for a subflow in its parent (CONTRACT §2.3: its state follows the subflow's)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.sdk.context import TAGS, FlowRunContext
from headway.wire.task_runs import TaskRun

if TYPE_CHECKING:
    from headway.sdk.flows import Flow

__all__ = ["new_subflow_parent"]


async def new_subflow_parent(flow: Flow[Any, Any], parent: FlowRunContext, inputs: dict[str, Any]) -> TaskRun:
    """Made over REST before the subflow, whose `parent_task_run_id` it becomes."""
    number = parent.next_number(f"subflow {flow.name}")
    tries = parent.run_count
    return await parent.session.client.call(
        "POST",
        "/task_runs/",
        body={
            "name": f"{flow.name}-{number}",
            "flow_run_id": parent.run.id,
            "task_key": f"{getattr(flow.fn, '__qualname__', flow.name)}-subflow",
            "dynamic_key": str(number) if tries <= 1 else f"{tries}-{number}",
            "tags": sorted(flow.tags | TAGS.get()),
            "task_inputs": inputs,
            "state": {"type": "PENDING", "name": "Pending"},
        },
        reply=TaskRun,
    )
