"""The public API as a client outside Headway uses it: plain JSON over HTTP, repeated until it is answered.

`Api.inflight` counts, per replica, the requests that were sent and not answered: what a kill interrupts.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

__all__ = ["Api", "Refused"]

RETRIED = frozenset({408, 429, 502, 503, 504})


class Refused(Exception):
    """An answer that repeating would not change."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {str(body)[:300]}")
        self.status = status


class Api:
    """`urls` are the replicas' bases, ending in /api; a request goes to the next one in turn."""

    def __init__(self, urls: Sequence[str], patience: float = 120.0) -> None:
        self.urls = list(urls)
        self.inflight: Counter[str] = Counter()
        self.strange: Counter[str] = Counter()
        self._patience = patience
        self._turn = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=15.0, connect=5.0)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def once(self, method: str, path: str, body: Any = None, *, url: str | None = None) -> tuple[int, Any]:
        """One try. Raises what the network raises."""
        assert self._session is not None, "the client is not open"
        if url is None:
            self._turn += 1
            url = self.urls[self._turn % len(self.urls)]
        self.inflight[url] += 1
        try:
            async with self._session.request(method, url + path, json=body) as answer:
                text = await answer.read()
                return answer.status, _decoded(text)
        finally:
            self.inflight[url] -= 1

    async def ask(self, method: str, path: str, body: Any = None, patience: float | None = None) -> Any:
        """The body of a 2xx answer, however long that takes. Raises Refused for another final answer, and
        TimeoutError when the patience is over. A 500 is counted in `strange` and repeated."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._patience if patience is None else patience)
        last: object = None
        while loop.time() < deadline:
            try:
                status, value = await self.once(method, path, body)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                last = error
            else:
                if status < 300:
                    return value
                last = f"{status}: {str(value)[:300]}"
                if status >= 500 and status not in RETRIED:
                    self.strange[f"{method} {path.split('/')[1]}: {last}"] += 1
                elif status not in RETRIED:
                    raise Refused(status, value)
            await asyncio.sleep(0.2)
        raise TimeoutError(f"{method} {path} was not answered in time; last: {last}")


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text.decode(errors="replace")
