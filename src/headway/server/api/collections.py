"""/collections: the worker types that can be had."""

from __future__ import annotations

from headway.core.errors import NotFound
from headway.server.api.routing import Route
from headway.server.services.worker_types import WorkerTypeService
from headway.wire.collections import WorkerTypes

WORKERS = "aggregate-worker-metadata"
_EMPTY = frozenset({"aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows"})


def routes(types: WorkerTypeService) -> list[Route]:
    async def read(view: str) -> WorkerTypes:
        """Worker types by package, each with the template a new pool of it starts from; other views are empty."""
        if view == WORKERS:
            return await types.metadata()
        if view in _EMPTY:
            return {}
        raise NotFound(f"View {view} not found in registry")

    return [Route("GET", "/collections/views/{view}", read, tag="Collections")]
