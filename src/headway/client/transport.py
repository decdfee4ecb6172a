"""How bytes get to a server: the `Transport` protocol; `http` and `embedded` implement it.

A transport is opened once, used by many tasks of one event loop, and closed once. `request` raises
`ServerUnreachable` when there was no answer at all; every answer, also a 500, is returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Answer", "Transport"]

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
