"""`Client`: the whole API, async. Resource groups are mix-ins, one file per resource, as in wire/."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Self

from headway.client.admin import AdminCalls
from headway.client.deployments import DeploymentCalls
from headway.client.events import EventCalls
from headway.client.flow_runs import FlowRunCalls
from headway.client.flows import FlowCalls
from headway.client.logs import LogCalls
from headway.client.task_runs import TaskRunCalls
from headway.client.transport import Transport, transport_to
from headway.client.work_pools import WorkPoolCalls
from headway.client.work_queues import WorkQueueCalls
from headway.client.workers import WorkerCalls
from headway.core.profiles import load_settings
from headway.core.settings import Settings

__all__ = ["Client", "open_transport"]

API_VERSION = "0.8.4"
USER_AGENT = "headway/0.1 (API 0.8.4)"


class Client(
    AdminCalls,
    FlowCalls,
    FlowRunCalls,
    TaskRunCalls,
    DeploymentCalls,
    WorkPoolCalls,
    WorkQueueCalls,
    WorkerCalls,
    LogCalls,
    EventCalls,
):
    """Use as `async with Client() as client`. Settings decide what is not given.

    Errors are those of `headway.core.errors`: NotFound, Conflict, Invalid, Locked, Gone, Unavailable,
    ServerUnreachable, UnexpectedReply.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        settings: Settings | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.limits = self.settings.client
        self.transport = transport or open_transport(self.settings, url)
        self.headers = {
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
            "X-PREFECT-API-VERSION": API_VERSION,
        }
        key = api_key or self.settings.api_key
        if key:
            self.headers["Authorization"] = f"Bearer {key}"
        self.headers.update(headers or {})
        self.id = uuid.uuid4()

    @property
    def url(self) -> str:
        """The API's URL, or "embedded" while the server runs inside this process."""
        return self.transport.url

    async def __aenter__(self) -> Self:
        await self.transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.transport.close()


def open_transport(settings: Settings, url: str | None = None) -> Transport:
    """HTTP to `url` or the setting's; without either, the server inside this process (DESIGN §2)."""
    chosen = url or settings.api_url
    made: Transport
    if chosen:
        made = transport_to(chosen, settings.client.timeout_seconds)
    else:
        made = import_module("headway.client.embedded").transport_for(settings)
    return made
