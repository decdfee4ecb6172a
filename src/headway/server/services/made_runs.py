"""What a run that was just made looks like on the wire, without reading it back."""

from __future__ import annotations

import msgspec

from headway.core.rules.commands import CreateRun, Decision
from headway.server.services.estimates import estimates
from headway.wire.flow_runs import FlowRun, FlowRunPolicy
from headway.wire.states import State as WireState

__all__ = ["made_run"]


def made_run(command: CreateRun, decision: Decision) -> FlowRun:
    """A run that was just made, as the wire shows it; the same as reading it back."""
    assert decision.after is not None
    run, row = decision.after.run, command.row
    state = run.state
    assert state is not None, "the runs that are made here have a state from the start"
    now = state.timestamp  # of the batch that made it
    times = {"total_run_time": 0.0, "state_type": state.type, "state_timestamp": now, "start_time": run.start_time}
    return FlowRun(
        id=run.id,
        created=now,
        updated=now,
        name=row["name"],
        flow_id=run.flow_id,  # type: ignore[arg-type]
        state_id=state.id,
        deployment_id=run.deployment_id,
        deployment_version=row.get("deployment_version"),
        work_queue_id=run.work_queue_id,
        work_queue_name=row["work_queue_name"],
        flow_version=row.get("flow_version"),
        parameters=row["parameters"],
        idempotency_key=row["idempotency_key"],
        context=row["context"],
        empirical_policy=msgspec.convert(run.policy.to_wire(), FlowRunPolicy),
        tags=row["tags"],
        labels=row["labels"],
        parent_task_run_id=run.parent_task_run_id,
        state_type=state.type,
        state_name=state.name,
        run_count=run.run_count,
        expected_start_time=run.expected_start_time,
        next_scheduled_start_time=run.next_scheduled_start_time,
        start_time=run.start_time,
        end_time=run.end_time,
        infrastructure_document_id=row["infrastructure_document_id"],
        work_pool_id=run.work_pool_id,
        work_pool_name=row.get("work_pool_name"),
        state=WireState.of(state),
        job_variables=row["job_variables"],
        **estimates({**times, "expected_start_time": run.expected_start_time}, now),
    )
