"""HTTP/1.1 as bytes, without sockets: what `plain` (asyncio) and `blocking` send and understand."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from headway.core.errors import ServerUnreachable

__all__ = ["CONNECT_SECONDS", "Broken", "Reading", "Target", "unreachable"]

CONNECT_SECONDS = 10.0
LONGEST_HEAD = 64 * 1024
BODILESS = (204, 304)


class Broken(Exception):
    """The connection ended. `fresh`: before the server has said anything, so it may never have seen the request."""

    def __init__(self, reason: str, *, fresh: bool) -> None:
        super().__init__(reason)
        self.fresh = fresh


class Target:
    """Where an API is, from its URL (`http://host:port/api`), and the requests to it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self.host, self.port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._authority = parts.netloc.rpartition("@")[2]

    def message(
        self, method: str, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        target = quote(self._path + path, safe="/%:@!$&'()*+,;=~")
        if query:
            target = f"{target}?{urlencode(query)}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        elif method not in ("GET", "HEAD"):
            lines.append("Content-Length: 0")
        if any("\r" in line or "\n" in line for line in lines):
            raise ServerUnreachable(f"A request to {self.url} cannot be sent: a header has a line break in it.")
        return "\r\n".join([*lines, "", ""]).encode("utf-8") + (body or b"")


class Reading:
    """An answer while it arrives (RFC 9112 §6). `advance` takes what is whole out of the buffer."""

    __slots__ = ("_bodiless", "_left", "_pieces", "body", "headers", "keep", "status", "until_end")

    def __init__(self, bodiless: bool) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.keep = True
        self.until_end = False
        self._bodiless = bodiless
        self._left: int | None = None
        self._pieces: list[bytes] | None = None

    def advance(self, buffer: bytearray) -> bool:
        """Whether the answer is whole. Raises ValueError for what is no HTTP."""
        while not self.status:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > LONGEST_HEAD:
                    raise ValueError("what answers there is no HTTP server")
                return False
            head = bytes(buffer[:end]).decode("latin-1").split("\r\n")
            del buffer[: end + 4]
            self._begin(head)
        if self._pieces is not None:
            return self._chunks(buffer)
        if self._left is None or len(buffer) < self._left:
            return False
        self.body = bytes(buffer[: self._left])
        del buffer[: self._left]
        return True

    def _begin(self, head: list[str]) -> None:
        version, _, rest = head[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("what answers there is no HTTP server")
        status = int(rest[:3])
        if status < 200:
            return  # "100 Continue": the answer is still to come
        for line in head[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.status = status
        self.keep = version != "HTTP/1.0" and self.headers.get("connection", "").lower() != "close"
        if self._bodiless or status in BODILESS:
            self._left = 0
        elif "chunked" in self.headers.get("transfer-encoding", "").lower():
            self._pieces = []
        elif "content-length" in self.headers:
            self._left = int(self.headers["content-length"])
        else:
            self.until_end, self.keep = True, False

    def _chunks(self, buffer: bytearray) -> bool:
        assert self._pieces is not None
        while (line := buffer.find(b"\r\n")) >= 0:
            size = int(buffer[:line].partition(b";")[0], 16)
            if size == 0:
                end = buffer.find(b"\r\n\r\n", line)  # after trailers, if there are any
                if end < 0:
                    return False
                del buffer[: end + 4]
                self.body = b"".join(self._pieces)
                return True
            if len(buffer) < line + 2 + size + 2:
                return False
            self._pieces.append(bytes(buffer[line + 2 : line + 2 + size]))
            del buffer[: line + 2 + size + 2]
        return False


def unreachable(url: str, error: BaseException) -> ServerUnreachable:
    """Nobody answered, and why, in one line."""
    return ServerUnreachable(
        f"No server answers at {url}: {_reason(error)}. Start one (headway server start) or set HEADWAY_API_URL."
    )


def _reason(error: BaseException) -> str:
    """Why nobody answered, in the system's words alone; the URL is named already."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError) or "Multiple exceptions" in str(error):
        return "connection refused"
    if type(error).__name__ == "gaierror":
        return "the host's name is not known"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
