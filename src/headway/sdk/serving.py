"""`serve`: a small runner in the script itself, for runs that need no work pool.

It asks for due runs of its deployments, starts each in a process of its own, and stops what is cancelled.
Leases and the crash of a run are the control plane's: a child that dies is found by its silence.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headway.client.client import Client
from headway.core.errors import Conflict, HeadwayError, NotFound
from headway.core.states import StateType
from headway.sdk.deployments import Deployment
from headway.sdk.ending import descendants
from headway.wire.filters import FlowRunFilter
from headway.wire.flow_runs import FlowRun, FlowRunQuery
from headway.wire.states import StateCreate

__all__ = ["serve"]

POLL_SECONDS = 1.0
logger = logging.getLogger("headway.serve")


def serve(*deployments: Deployment, limit: int | None = None, pause_on_shutdown: bool = True) -> None:
    """Make the deployments and run what is due of them, at most `limit` at once, until SIGINT or SIGTERM."""
    if not deployments:
        raise HeadwayError("serve() needs at least one deployment; flow.to_deployment(name) makes one.")
    asyncio.run(Server(list(deployments), limit, pause_on_shutdown).run())


class Server:
    """Serves deployments in the current process."""

    def __init__(self, deployments: list[Deployment], limit: int | None, pause_on_shutdown: bool) -> None:
        self.deployments = deployments
        self.limit = limit
        self.pause_on_shutdown = pause_on_shutdown
        self.children: dict[UUID, asyncio.subprocess.Process] = {}
        self.taken: dict[UUID, UUID | None] = {}
        """Runs whose process was started here: the id of the PENDING that took them."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # only the main thread can
                loop.add_signal_handler(number, self.stopping.set)
        async with Client() as client:
            ids = [await deployment.apply_with(client) for deployment in self.deployments]
            names = ", ".join(f"{d.flow.name}/{d.name}" for d in self.deployments)
            sys.stdout.write(f"Serving {names} against {client.url}. Press Ctrl+C to stop.\n")
            sys.stdout.flush()
            try:
                while not self.stopping.is_set():
                    await self._tick(client, ids)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.stopping.wait(), POLL_SECONDS)
            finally:
                await self._close(client, ids)

    async def _tick(self, client: Client, ids: list[UUID]) -> None:
        try:
            await self._stop_cancelled(client)
            await self._report_stillborn(client)
            free = None if self.limit is None else self.limit - len(self.children)
            if free is None or free > 0:
                now = datetime.now(UTC)
                due = await client.get_scheduled_flow_runs_for_deployments(ids, now, free)
                for run in due:
                    if run.id not in self.children:
                        await self._start(client, run)
        except HeadwayError as error:
            logger.warning("Nothing could be fetched, trying again: %s", error)

    async def _start(self, client: Client, run: FlowRun) -> None:
        result = await client.set_flow_run_state(run.id, StateCreate(type=StateType.PENDING, name="Pending"))
        if result.state is None or result.state.type is not StateType.PENDING or result.status.value == "ABORT":
            return
        environment = {**os.environ, "HEADWAY_FLOW_RUN_ID": str(run.id), "HEADWAY_HOME": str(client.settings.home)}
        if client.url.startswith("http"):
            environment["HEADWAY_API_URL"] = client.url
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headway.engine", env=environment, start_new_session=True
        )
        logger.info("Started flow run %r as process %d.", run.name, child.pid)
        self.children[run.id] = child
        self.taken[run.id] = result.state.id
        task = asyncio.create_task(self._watch(run, child))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _watch(self, run: FlowRun, child: asyncio.subprocess.Process) -> None:
        code = await child.wait()
        self.children.pop(run.id, None)
        logger.info("Process of flow run %r ended with code %d.", run.name, code)

    async def _stop_cancelled(self, client: Client) -> None:
        if not self.children:
            return
        query = FlowRunQuery(flow_runs=_cancelling(list(self.children)))
        for run in await client.read_flow_runs(query):
            child = self.children.get(run.id)
            if child is not None:
                await self._end(child, client.settings.worker.stop_grace_seconds)
            if (await client.read_flow_run(run.id)).state_type is StateType.CANCELLING:  # it could not say so itself
                await client.set_flow_run_state(run.id, StateCreate(type=StateType.CANCELLED), force=True)

    async def _report_stillborn(self, client: Client) -> None:
        """A process that ended before its run was RUNNING had no lease yet: nobody else would miss it."""
        for id in [id for id in self.taken if id not in self.children]:
            with suppress(NotFound, Conflict):
                state = (await client.read_flow_run(id)).state
                if state is not None and state.id == self.taken[id]:
                    crashed = StateCreate(type=StateType.CRASHED, message="Its process ended before the run began.")
                    await client.set_flow_run_state(id, crashed)
            del self.taken[id]

    async def _end(self, child: asyncio.subprocess.Process, grace: float) -> None:
        """End a child's process group and all it has started."""
        family = [child.pid, *descendants(child.pid)]
        _signal_group(child.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), grace)
        _signal_group(child.pid, signal.SIGKILL)
        for pid in family[1:]:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    async def _close(self, client: Client, ids: list[UUID]) -> None:
        if self.pause_on_shutdown:
            for id in ids:
                with suppress(HeadwayError):
                    await client.pause_deployment(id)
        grace = client.settings.worker.stop_grace_seconds
        await asyncio.gather(*(self._end(child, grace) for child in list(self.children.values())))
        await asyncio.gather(*self.tasks, return_exceptions=True)
        with suppress(HeadwayError):
            await self._report_stillborn(client)


def _cancelling(ids: list[UUID]) -> FlowRunFilter:
    import msgspec  # the filter is easiest to write as the JSON it stands for

    wanted: Any = {"id": {"any_": ids}, "state": {"type": {"any_": ["CANCELLING"]}}}
    return msgspec.convert(wanted, FlowRunFilter)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(OSError):
        os.killpg(pid, number)
