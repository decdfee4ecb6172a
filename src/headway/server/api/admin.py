"""What a client asks at connect: is it alive, which version, does it want CSRF tokens (CONTRACT §1.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from headway.core.errors import Invalid, Unavailable
from headway.server.api.routing import Route

COMPATIBLE_VERSION = "3.9.1"
"""The reference release whose API this is; clients only check that the major number is theirs."""
API_VERSION = "0.8.4"


def routes(
    is_ready: Callable[[], Awaitable[bool]],
    shown_settings: Callable[[], dict[str, Any]],
    durability: Callable[[], Awaitable[dict[str, dict[str, str]]]],
    loop_lag: Callable[[bool], dict[str, float]],
) -> list[Route]:
    async def health() -> bool:
        return True

    async def hello() -> str:
        return "👋"

    async def ready() -> dict[str, str]:
        if not await is_ready():
            raise Unavailable("The database cannot be reached.", retry_after=1)
        return {"message": "OK"}

    async def version() -> str:
        return API_VERSION

    async def admin_version() -> str:
        return COMPATIBLE_VERSION

    async def admin_settings() -> dict[str, Any]:
        return shown_settings()

    async def admin_durability() -> dict[str, dict[str, str]]:
        return await durability()

    async def admin_loop_lag(reset: bool = False) -> dict[str, float]:
        return loop_lag(reset)

    async def csrf_token(client: str) -> None:
        # The reference answers this text when protection is off, and its clients look for it.
        raise Invalid("CSRF protection is disabled.", loc=("query", "client"))

    return [
        Route("GET", "/health", health, tag="Root"),
        Route("GET", "/hello", hello, tag="Root"),
        Route("GET", "/ready", ready, tag="Root"),
        Route("GET", "/version", version, tag="Root"),
        Route("GET", "/admin/version", admin_version, tag="Admin"),
        Route("GET", "/admin/settings", admin_settings, tag="Admin"),
        Route("GET", "/admin/durability", admin_durability, tag="Admin"),
        Route("GET", "/admin/loop-lag", admin_loop_lag, tag="Admin"),
        Route("GET", "/csrf-token", csrf_token, tag="Admin"),
    ]
