"""A plain relay of connections: a load balancer over replicas, and the one way out of a network namespace.

    python -m chaos.relay --listen 127.0.0.1:0 --to 127.0.0.1:4200 --to 127.0.0.1:4201

An address is host:port or the path of a Unix socket. A new connection goes to the targets in turn, to the next one
if one does not accept. Says the address it listens on as its first line.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Sequence
from contextlib import suppress

CHUNK = 65536
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(address: str) -> Streams:
    if address.startswith("/"):
        return await asyncio.open_unix_connection(address)
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


async def serve(listen: str, targets: Sequence[str]) -> None:
    turn = itertools.count()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(turn)
        streams: Streams | None = None
        for step in range(len(targets)):
            with suppress(OSError, TimeoutError):
                target = targets[(first + step) % len(targets)]
                streams = await asyncio.wait_for(connect(target), 2.0)
                break
        if streams is not None:
            both = [asyncio.ensure_future(pump(reader, streams[1])), asyncio.ensure_future(pump(streams[0], writer))]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for one in both:
                one.cancel()
            streams[1].close()
        writer.close()

    if listen.startswith("/"):
        server = await asyncio.start_unix_server(handle, listen)
        shown = listen
    else:
        host, _, port = listen.rpartition(":")
        server = await asyncio.start_server(handle, host, int(port))
        shown = f"{host}:{server.sockets[0].getsockname()[1]}"
    sys.stdout.write(shown + "\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="Relay connections.")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--to", required=True, action="append")
    chosen = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(chosen.listen, chosen.to))


if __name__ == "__main__":
    main()
