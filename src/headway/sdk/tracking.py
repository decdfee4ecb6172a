"""The task run that stands for a subflow in its parent (CONTRACT §2.3: its state follows the subflow's)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.sdk.context import TAGS, FlowRunContext
from headway.wire.task_runs import TaskRun

if TYPE_CHECKING:
    from headway.sdk.flows import Flow

__all__ = ["new_parent", "new_subflow_parent"]


async def new_subflow_parent(flow: Flow[Any, Any], parent: FlowRunContext, inputs: dict[str, Any]) -> TaskRun:
    """For a flow that is called inside another one."""
    return await new_parent(parent, flow.name, getattr(flow.fn, "__qualname__", flow.name), inputs)


async def new_parent(parent: FlowRunContext, name: str, key: str, inputs: dict[str, Any]) -> TaskRun:
    """Made over REST before the subflow, whose `parent_task_run_id` it becomes."""
    number = parent.next_number(f"subflow {name}")
    tries = parent.run_count
    return await parent.session.client.call(
        "POST",
        "/task_runs/",
        body={
            "name": f"{name}-{number}",
            "flow_run_id": parent.run.id,
            "task_key": f"{key}-{name}",
            "dynamic_key": str(number) if tries <= 1 else f"{tries}-{number}",
            "tags": sorted(TAGS.get()),
            "task_inputs": inputs,
            "state": {"type": "PENDING", "name": "Pending"},
        },
        reply=TaskRun,
    )
