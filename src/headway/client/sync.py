"""The sync face of the client, which drives the async one. No method is written twice.

Over plain HTTP the coroutines have nothing to wait for but sockets, and run here and now; over TLS, proxies and
with the server in this process they run on an event loop in the background.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import wraps
from importlib import import_module
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from headway.client.blocking import BlockingTransport, run, sleep
from headway.client.client import Client
from headway.client.transport import is_plain
from headway.core.profiles import load_settings
from headway.core.server_lock import serving_url
from headway.core.settings import Settings

__all__ = ["SyncClient", "get_client"]

CO_COROUTINE = 0x80
T = TypeVar("T")


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
        chosen = settings or load_settings()
        target = url or chosen.api_url or serving_url(chosen.home)
        self._portal: Any = None
        if target is not None and is_plain(target):
            transport = BlockingTransport(target, chosen.client.timeout_seconds)
            self._client = Client(url, api_key, headers, settings=chosen, transport=transport)
            self._client.sleep = sleep  # type: ignore[method-assign]
        else:
            self._client = Client(url, api_key, headers, settings=chosen)
            self._portal = import_module("headway.client.portal").Portal("headway-client")

    def __enter__(self) -> Self:
        if self._portal is not None:
            self._portal.start()
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._client.close())
        finally:
            if self._portal is not None:
                self._portal.stop()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._portal is None:
            return run(coroutine)
        value: T = self._portal.call(coroutine)
        return value

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not is_coroutine_function(member):
            return member

        @wraps(member)
        def blocking(*arguments: Any, **named: Any) -> Any:
            return self._run(member(*arguments, **named))

        return blocking


def is_coroutine_function(member: Any) -> bool:
    code = getattr(member, "__code__", None)
    return code is not None and bool(code.co_flags & CO_COROUTINE)


@overload
def get_client(*, sync_client: Literal[False] = False, settings: Settings | None = None) -> Client: ...


@overload
def get_client(*, sync_client: Literal[True], settings: Settings | None = None) -> SyncClient: ...


def get_client(*, sync_client: bool = False, settings: Settings | None = None) -> Client | SyncClient:
    """`async with get_client() as client` or `with get_client(sync_client=True) as client`."""
    return SyncClient(settings=settings) if sync_client else Client(settings=settings)
