"""Flows."""

from __future__ import annotations

from uuid import UUID

from headway.client.calls import Caller
from headway.wire.flows import Flow, FlowCreate, FlowQuery

__all__ = ["FlowCalls"]


class FlowCalls(Caller):
    async def create_flow(self, name: str, tags: list[str] | None = None) -> Flow:
        """The flow of this name, made if there is none."""
        return await self.call("POST", "/flows/", body=FlowCreate(name=name, tags=tags or []), reply=Flow)

    async def read_flow(self, flow_id: UUID) -> Flow:
        return await self.call("GET", f"/flows/{flow_id}", reply=Flow)

    async def read_flow_by_name(self, name: str) -> Flow:
        return await self.call("GET", f"/flows/name/{name}", reply=Flow)

    async def read_flows(self, query: FlowQuery | None = None) -> list[Flow]:
        return await self.call("POST", "/flows/filter", body=query or FlowQuery(), reply=list[Flow])

    async def delete_flow(self, flow_id: UUID) -> None:
        await self.call("DELETE", f"/flows/{flow_id}")
