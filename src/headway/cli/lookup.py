"""From what a person types to the thing meant: deployments and runs by name or id; nearest names when there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from headway.cli.values import as_uuid
from headway.core.errors import Conflict, NotFound
from headway.core.nearest import suggestion
from headway.wire.deployments import Deployment, DeploymentQuery
from headway.wire.filters import DeploymentFilter, FlowFilter, FlowRunFilter, IdAnyNot, NameAnyLike
from headway.wire.flow_runs import FlowRun, FlowRunQuery, FlowRunSort
from headway.wire.flows import Flow, FlowQuery

if TYPE_CHECKING:
    from headway.client.sync import SyncClient

__all__ = ["check_queue", "find_deployment", "find_flow", "find_flow_run", "flow_names"]


def flow_names(client: SyncClient, ids: Iterable[UUID]) -> dict[UUID, str]:
    """The names of flows, by id."""
    wanted = sorted(set(ids), key=str)
    if not wanted:
        return {}
    found: list[Flow] = client.read_flows(FlowQuery(flows=FlowFilter(id=IdAnyNot(any_=wanted))))
    return {flow.id: flow.name for flow in found}


def find_flow(client: SyncClient, name: str) -> Flow:
    """A flow by name or id."""
    id = as_uuid(name)
    try:
        found: Flow = client.read_flow(id) if id else client.read_flow_by_name(name)
    except NotFound:
        known = [flow.name for flow in client.read_flows()]
        raise NotFound(f"Flow '{name}' not found.{suggestion(name, known, 'There are no flows yet.')}") from None
    return found


def find_deployment(client: SyncClient, name: str) -> tuple[Deployment, str]:
    """The deployment meant by NAME, FLOW/NAME or an id, and its full name FLOW/NAME."""
    if id := as_uuid(name):
        deployment = client.read_deployment(id)
        return deployment, f"{flow_names(client, [deployment.flow_id])[deployment.flow_id]}/{deployment.name}"
    flow, slash, short = name.rpartition("/")
    query = DeploymentQuery(
        deployments=DeploymentFilter(name=NameAnyLike(any_=[short])),
        flows=FlowFilter(name=NameAnyLike(any_=[flow])) if slash else None,
    )
    found: list[Deployment] = client.read_deployments(query)
    flows = flow_names(client, (deployment.flow_id for deployment in found))
    full = [f"{flows[deployment.flow_id]}/{deployment.name}" for deployment in found]
    if not found:
        raise _no_deployment(client, name)
    if len(found) > 1:
        raise Conflict(f"{len(found)} deployments are named '{name}': {', '.join(full)}. Give one as FLOW/NAME.")
    return found[0], full[0]


def _no_deployment(client: SyncClient, name: str) -> NotFound:
    present: list[Deployment] = client.read_deployments()
    flows = flow_names(client, (deployment.flow_id for deployment in present))
    full = {f"{flows[deployment.flow_id]}/{deployment.name}" for deployment in present}
    short = {deployment.name for deployment in present}
    known = full if "/" in name else short
    hint = suggestion(name, known, "There are no deployments yet; make one with: headway deploy FILE.py:flow --name N")
    return NotFound(f"Deployment '{name}' not found.{hint}")


def check_queue(client: SyncClient, pool: str, name: str) -> None:
    """Raises NotFound, with the nearest queues and the remedy, if the pool has no queue of that name."""
    known = [queue.name for queue in client.read_work_queues(pool)]
    if name not in known:
        raise NotFound(
            f"Work queue '{name}' not found in work pool '{pool}'.{suggestion(name, known)} "
            f"Create it with: headway work-queue create {name} --pool {pool}"
        )


def find_flow_run(client: SyncClient, name: str) -> FlowRun:
    """A run by id or by name."""
    if id := as_uuid(name):
        try:
            run: FlowRun = client.read_flow_run(id)
        except NotFound:
            raise NotFound(f"Flow run '{name}' not found. List runs with: headway flow-run ls") from None
        return run
    query = FlowRunQuery(flow_runs=FlowRunFilter(name=NameAnyLike(any_=[name])), sort=FlowRunSort.ID_DESC, limit=20)
    found: list[FlowRun] = client.read_flow_runs(query)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(run.id) for run in found)
        raise Conflict(f"{len(found)} flow runs are named '{name}'. Give the id of one: {ids}")
    recent: list[FlowRun] = client.read_flow_runs(FlowRunQuery(sort=FlowRunSort.ID_DESC))
    hint = suggestion(name, (run.name for run in recent), "There are no flow runs yet.")
    raise NotFound(f"Flow run '{name}' not found; give its id or its name.{hint}")
