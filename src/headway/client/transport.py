"""How bytes get to a server: the `Transport` protocol; `plain`, `http` and `embedded` implement it.

A transport is opened once, used by many tasks of one event loop, and closed once. `request` raises
`ServerUnreachable` when there was no answer at all; every answer, also a 500, is returned.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

__all__ = ["Answer", "Transport", "is_plain", "transport_to"]

PLAIN_URL = re.compile(r"http://(\[[0-9a-fA-F:.]+\]|[^\s/:@\[\]?#%]+)(:\d{1,5})?(/[^?#]*)?")
PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers (names in lower case) and body."""


class Transport(Protocol):
    """What a client needs of a connection."""

    url: str

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer: ...


def is_plain(url: str) -> bool:
    """Whether plain HTTP, without TLS or proxies, is all it takes."""
    return PLAIN_URL.fullmatch(url) is not None and not any(os.environ.get(name) for name in PROXIES)


def transport_to(url: str, timeout_seconds: float) -> Transport:
    """Connections to the API at `url`: our own where plain HTTP is all it takes, else aiohttp's."""
    made: Transport
    if is_plain(url):
        made = import_module("headway.client.plain").PlainTransport(url, timeout_seconds)
    else:
        made = import_module("headway.client.http").HttpTransport(url, timeout_seconds)
    return made
