"""What a process gets ready once for all the runs that will be forked from it.

Loaded modules are not all that a first run waits for: types learn how to be decoded, bytecode adapts to what it
sees, caches fill. So a run is rehearsed, against a server that is a few lines of this module: what it leaves
behind, every run shares instead of making it again.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec

from headway.client.plain import Connection, PlainTransport
from headway.core.errors import HeadwayError
from headway.core.ids import new_id
from headway.core.profiles import load_settings, profiles_path
from headway.core.settings import Settings
from headway.sdk.engine_process import EngineProcess
from headway.sdk.fence import Fence
from headway.sdk.flows import Flow
from headway.wire import states as wire
from headway.wire.flow_runs import FlowRun
from headway.wire.workers import ClaimFacts

__all__ = ["WarmStart", "rehearse"]

FLOWS = Path(__file__).with_name("rehearsed_flows.py")
REACH = frozenset({"HEADWAY_API_URL", "HEADWAY_API_KEY"})
THREADS_END_SECONDS = 5.0
Seen = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class WarmStart:
    """`flow` is the runs' flow, if it is loaded; the settings are those of the environment it was made in."""

    flow: Flow[..., object] | None
    variables: Mapping[str, str]
    loaded: Settings | None
    profile: Seen

    @classmethod
    def now(cls, flow: Flow[..., object] | None = None) -> WarmStart:
        try:
            settings = load_settings()
        except HeadwayError:  # a run says what is wrong with its own
            return cls(flow, {}, None, None)
        with suppress(Exception):  # it makes runs faster, and is nothing that one could not do without
            rehearse(settings)
        return cls(flow, settings_in(os.environ), settings, seen(profiles_path(settings.home)))

    def settings(self) -> Settings:
        """This process's settings: those loaded before, unless more is different than where the server is."""
        here, loaded = settings_in(os.environ), self.loaded
        differing = {name for name, _ in here.items() ^ self.variables.items()}
        url, key = here.get("HEADWAY_API_URL", ""), here.get("HEADWAY_API_KEY")
        plain = differing <= REACH & here.keys() and url.startswith("http")
        if loaded is None or not plain or seen(profiles_path(loaded.home)) != self.profile:
            return load_settings()
        return replace(loaded, api_url=url, api_key=key or loaded.api_key)


def settings_in(environ: Mapping[str, str]) -> dict[str, str]:
    identity = ("HEADWAY_FLOW_RUN_ID", "HEADWAY_ATTEMPT", "HEADWAY_ATTEMPT_TOKEN", "HEADWAY_CLAIM_FILE")
    return {name: value for name, value in environ.items() if name.startswith("HEADWAY_") and name not in identity}


def seen(path: Path) -> Seen:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


# -- the rehearsal


def rehearse(settings: Settings) -> list[int]:
    """Run a flow of each kind against nobody; their exit codes. Leaves no thread and no connection behind."""
    here, path = replace(settings, api_url="http://rehearsal/api"), list(sys.path)
    try:
        codes = [rehearsal(name, here).execute() for name in ("sync_flow", "async_flow")]
    finally:
        sys.path[:] = path
        sys.modules.pop(FLOWS.stem, None)
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(THREADS_END_SECONDS)
    return codes


def rehearsal(name: str, settings: Settings) -> EngineProcess:
    now, nobody = datetime.now(UTC), UUID(int=0)
    run = FlowRun(id=new_id(), created=now, updated=now, name="rehearsal", flow_id=nobody, deployment_id=nobody)
    told = ClaimFacts(flow_run=run, path=str(FLOWS.parent), entrypoint=f"{FLOWS.name}:{name}")
    facts = msgspec.json.decode(msgspec.json.encode(told), type=ClaimFacts)
    process = EngineProcess(run.id, settings, Fence("token", 1), whole_process=False, facts=facts)
    process.session.link.transport = process.session.client.transport = Nobody(settings.api_url or "")
    return process


class Nobody(PlainTransport):
    """A server that accepts everything, at the other end of no connection."""

    async def _connect(self) -> Connection:
        connection = Connection()
        connection.connection_made(NoSocket(connection))
        return connection


class NoSocket(asyncio.Transport):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def write(self, data: Any) -> None:
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        content = accepted(body) if b"/set_state " in head.partition(b"\r\n")[0] else b"{}"
        said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
        asyncio.get_running_loop().call_soon(self._connection.data_received, said + content)

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """There is nothing to give back."""


def accepted(body: bytes) -> bytes:
    proposed = msgspec.json.decode(body, type=wire.SetState).state
    state = wire.State(
        id=new_id(),
        type=proposed.type,
        name=proposed.name or proposed.type.value.capitalize(),
        timestamp=datetime.now(UTC),
        state_details=cast(Any, proposed.state_details),
    )
    result = wire.OrchestrationResult(state=state, status=wire.SetStateStatus.ACCEPT, details=wire.AcceptDetails())
    return msgspec.json.encode(result)
