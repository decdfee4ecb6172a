"""The sync face of the client, driven by the async one on a background event loop. No method is written twice."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import wraps
from types import TracebackType
from typing import Any, Literal, Self, overload

from headway.client.client import Client
from headway.client.portal import Portal
from headway.core.settings import Settings

__all__ = ["SyncClient", "get_client"]


class SyncClient:
    """Every method of `Client`, blocking. Use as `with SyncClient() as client`."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        self._client = Client(url, api_key, headers, settings=settings)
        self._portal = Portal("headway-client")

    def __enter__(self) -> Self:
        self._portal.start()
        self._portal.call(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._portal.call(self._client.close())
        finally:
            self._portal.stop()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not inspect.iscoroutinefunction(member):
            return member

        @wraps(member)
        def blocking(*arguments: Any, **named: Any) -> Any:
            return self._portal.call(member(*arguments, **named))

        return blocking


@overload
def get_client(*, sync_client: Literal[False] = False, settings: Settings | None = None) -> Client: ...


@overload
def get_client(*, sync_client: Literal[True], settings: Settings | None = None) -> SyncClient: ...


def get_client(*, sync_client: bool = False, settings: Settings | None = None) -> Client | SyncClient:
    """`async with get_client() as client` or `with get_client(sync_client=True) as client`."""
    return SyncClient(settings=settings) if sync_client else Client(settings=settings)
