"""A folder of flows, deployed and run through the API of a real server; for end-to-end tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from headway.client import SyncClient
from headway.core.states import TERMINAL
from headway.testing.waiting import eventually
from headway.wire.flow_runs import FlowRun
from headway.wire.logs import Log, LogQuery
from headway.wire.work_pools import WorkPoolCreate

__all__ = ["Project"]


class Project:
    """A folder with flows in it, deployed through the API."""

    def __init__(self, folder: Path, api: SyncClient) -> None:
        self.folder = folder
        self.api = api
        folder.mkdir()

    def pool(self, name: str = "local", type: str = "process", **fields: Any) -> str:
        """A work pool; its name."""
        made: str = self.api.create_work_pool(WorkPoolCreate(name=name, type=type, **fields)).name
        return made

    def deploy(self, function: str, source: str, pool: str, queue: str | None = None, **fields: Any) -> UUID:
        """Write a module with `source` and deploy its flow `function` (named with dashes); the deployment's id."""
        path = self.folder / f"{function}.py"
        path.write_text(source)
        flow = self.api.create_flow(function.replace("_", "-"))
        made: UUID = self.api.create_deployment(
            flow.id,
            f"{function}-{pool}-{queue}",
            work_pool_name=pool,
            work_queue_name=queue,
            path=str(self.folder),
            entrypoint=f"{path.name}:{function}",
            **fields,
        )
        return made

    def start(self, deployment: UUID, **fields: Any) -> UUID:
        """A new run, to be started now; its id."""
        run: UUID = self.api.create_flow_run_from_deployment(deployment, **fields).id
        return run

    def until(self, run: UUID, *states: str, deadline: float = 60.0) -> FlowRun:
        """The run once its state's type or name is one of `states`; none given: any final one."""
        wanted = set(states) or {state.value for state in TERMINAL}

        def reached() -> FlowRun | None:
            now: FlowRun = self.api.read_flow_run(run)
            assert {now.state_type, now.state_name} & wanted, f"{now.state_name}: {now.state and now.state.message}"
            return now

        return eventually(reached, deadline, f"run {run} in {sorted(wanted)}")

    def history(self, run: UUID) -> list[str]:
        """The names of the run's states, oldest first."""
        return [state.name for state in self.api.read_flow_run_states(run)]

    def logs(self, run: UUID) -> list[str]:
        """The messages of the run's logs, in their order."""
        return [log.message for log in self.log_records(run)]

    def log_records(self, run: UUID) -> list[Log]:
        query = {"logs": {"flow_run_id": {"any_": [str(run)]}}, "limit": 200}
        records: list[Log] = self.api.read_logs(msgspec.convert(query, LogQuery))
        return records
