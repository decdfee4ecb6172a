"""GET /flow_runs/{id}/explain (Headway's own path)."""

from __future__ import annotations

from uuid import UUID

from headway.server.api.routing import Route
from headway.server.services.explain import ExplainService
from headway.wire.explain import Explanation


def routes(explanations: ExplainService) -> list[Route]:
    async def explain(id: UUID) -> Explanation:
        """Why the run is not running, and whether a poll would return it."""
        return await explanations.explain(id)

    return [Route("GET", "/flow_runs/{id}/explain", explain, tag="Flow Runs")]
