"""The attempt a process executes: its token and nonce, and the renewal of its lease (DESIGN §3).

Renewal runs on the session's loop. A server that is away changes nothing; one that says 409 or 410 means
that the run is somebody else's now, and `on_lost` ends whatever this process does for it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import secrets
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from headway.client.calls import error_of
from headway.core.errors import HeadwayError
from headway.wire.workers import EngineOrders

if TYPE_CHECKING:
    from headway.sdk.session import Session

__all__ = ["Fence", "Lease"]

logger = logging.getLogger("headway.sdk")
LEAST_PATIENCE = 0.5
"""Seconds that a renewal may take at least, however short the leases."""
VARIABLES = ("HEADWAY_ATTEMPT", "HEADWAY_ATTEMPT_TOKEN")


def _nonce() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Fence:
    """Who writes: the attempt's number and token (None: nobody claimed the run), and this process's nonce."""

    token: str | None
    attempt: int | None
    nonce: str = field(default_factory=_nonce)

    @classmethod
    def unclaimed(cls) -> Fence:
        """For a run this process starts by itself; its first RUNNING opens the attempt."""
        return cls(token=None, attempt=None)

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Fence:
        """From the environment the worker made; the variables are removed before user code can see them."""
        number, token = (environ.pop(name, None) for name in VARIABLES)
        return cls(token=token or None, attempt=int(number) if number and number.isdigit() else None)

    @property
    def headers(self) -> dict[str, str]:
        named = {
            "Headway-Attempt-Token": self.token,
            "Headway-Attempt": None if self.attempt is None else str(self.attempt),
            "Headway-Attempt-Nonce": self.nonce,
        }
        return {name: value for name, value in named.items() if value is not None}


class Lease:
    """Renews the lease of a root run from its first RUNNING until `stop`.

    `on_lost`, and `on_cancelling` with each run of this process that was cancelled (the root, or a flow inside
    it), are called on the session's thread; the latter at every renewal until it has ended.
    """

    def __init__(
        self,
        session: Session,
        flow_run_id: UUID,
        fence: Fence,
        on_lost: Callable[[str], None] | None = None,
        on_cancelling: Callable[[UUID], None] | None = None,
    ) -> None:
        self._session = session
        self._flow_run_id = flow_run_id
        self._fence = fence
        self._on_lost = on_lost
        self._on_cancelling = on_cancelling
        self._task: concurrent.futures.Future[None] | None = None
        self.ends = False
        """The run is being told its final state: then the lease ends by that, which is no loss."""

    def start(self) -> None:
        """Begin to renew; starting twice is harmless."""
        if self._task is None:
            self._task = self._session.portal.submit(self._renew())

    def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _renew(self) -> None:
        usual = pause = self._session.settings.server.lease.renew_seconds
        while True:
            await asyncio.sleep(pause)
            pause = usual
            try:
                asked = self._session.client.transport.request(
                    "POST", f"/flow_runs/{self._flow_run_id}/lease/renew", None, self._session.client.headers, None
                )
                status, _, content = await asyncio.wait_for(asked, max(usual / 2, LEAST_PATIENCE))
            except TimeoutError:
                pause = 0.0  # a replica that hangs must not cost the lease: the next connection may lead to another
                continue
            except HeadwayError:
                continue  # the engine runs on; its worker vouches for it, or an outage stops all clocks
            if status in (404, 405):
                return  # a server without leases
            if status in (409, 410):
                if self.ends:
                    continue  # whether the run was ours still, the answer to its final state says
                self._lost(str(error_of((status, {}, content), "The renewal of the lease")))
                return
            if status == 200 and self._on_cancelling is not None:
                for run in msgspec.json.decode(content, type=EngineOrders).stop:
                    with suppress(Exception):
                        self._on_cancelling(run)

    def _lost(self, reason: str) -> None:
        logger.error("This process no longer owns flow run %s and stops: %s", self._flow_run_id, reason)
        if self._on_lost is not None:
            with suppress(Exception):
                self._on_lost(reason)
