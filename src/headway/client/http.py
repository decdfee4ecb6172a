"""HTTP over aiohttp; loaded when a client with a URL is opened."""

from __future__ import annotations

import errno
from collections.abc import Mapping

import aiohttp

from headway.client.transport import Answer
from headway.core.errors import ServerUnreachable

__all__ = ["HttpTransport"]


class HttpTransport:
    """One aiohttp session to one API URL (`http://host:port/api`)."""

    def __init__(self, url: str, timeout_seconds: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=100, ttl_dns_cache=60)
            timeout = aiohttp.ClientTimeout(total=self._timeout, connect=min(self._timeout, 10.0))
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        if self._session is None:
            await self.open()
        assert self._session is not None
        try:
            async with self._session.request(
                method, self.url + path, params=query, headers=headers, data=body
            ) as answer:
                content = await answer.read()
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, content
        except (aiohttp.InvalidURL, ValueError) as error:
            raise ServerUnreachable(
                f"{self.url} is not a usable API URL ({error}). Set HEADWAY_API_URL, e.g. http://127.0.0.1:4200/api."
            ) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ServerUnreachable(
                f"No server answers at {self.url}: {_reason(error)}. "
                "Start one (headway server start) or set HEADWAY_API_URL."
            ) from None


def _reason(error: Exception) -> str:
    """Why nobody answered, in the system's words alone; the URL is named already."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name is not known"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno in (errno.ECONNREFUSED, None):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
