"""What a root run needs of the outside: settings, a client on an event loop of its own, and the two senders.

Opened when a root flow (or a task outside flows) begins, shared by everything inside it, and closed when it
has ended: then all records are delivered, or a warning counts the ones that are not. The last log lines may
be under way still; they are delivered before the process ends.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from uuid import UUID

from headway.client.calls import body_of
from headway.client.client import Client
from headway.core.profiles import load_settings
from headway.core.settings import Settings
from headway.sdk.interruption import Interruption
from headway.sdk.links import LINKS, Link
from headway.sdk.records import TaskRunRecord, render, reports_of
from headway.sdk.sender import BatchSender

__all__ = ["Session"]

T = TypeVar("T")
logger = logging.getLogger("headway.sdk")
REPORTS = "/task_run_reports"
NO_SUCH_ROUTE = (404, 405)


class Session:
    """`headers` (the fence of an attempt) go with every request.

    `link` is the connection to use; by default it is shared with other sessions of this process.
    """

    def __init__(
        self, settings: Settings | None = None, headers: Mapping[str, str] | None = None, link: Link | None = None
    ) -> None:
        self.settings = settings or load_settings()
        self.log_level = logging.getLevelNamesMapping()[self.settings.log_level]
        self._shares = link is None
        self.link = LINKS.take(self.settings) if link is None else link
        self.portal = self.link.portal
        self.client = Client(settings=self.settings, headers=headers, transport=self.link.transport)
        engine = self.settings.engine
        self.records: BatchSender[TaskRunRecord] = BatchSender(
            "task-run records", self.portal, self._send_records, batch=engine.event_batch, buffer=engine.event_buffer
        )
        self.logs: BatchSender[dict[str, Any]] = BatchSender(
            "log lines",
            self.portal,
            self._send_logs,
            batch=engine.log_batch,
            buffer=engine.log_buffer,
            weigh=lambda line: len(line["message"]),
        )
        self._plain_records = self._plain_logs = False
        self.running: dict[UUID, Interruption] = {}
        """The flow runs in this session whose code can be interrupted."""

    @property
    def is_open(self) -> bool:
        """Whether there is nothing to wait for before requests can be made."""
        return self.link.is_open

    def open(self) -> None:
        try:
            self.link.open()
        except BaseException:
            self._give_back()
            raise

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a client call and wait, from sync code."""
        return self.portal.call(coroutine)

    async def _send_records(self, records: list[TaskRunRecord]) -> None:
        """Sent once: the sender repeats, and says that the server is away."""
        if not self._plain_records:
            answer = await self.client.answer("POST", REPORTS, body_of(reports_of(records)), repeats=0)
            if answer[0] not in NO_SUCH_ROUTE:
                self.client.check(answer, f"POST {REPORTS}")
                return
        events = [render(record) for record in records]
        answer = await self.client.answer("POST", "/events", body_of(events), repeats=0)
        self.client.check(answer, "POST /events")
        self._plain_records = True  # a stock server: it knows events alone

    async def _send_logs(self, logs: list[dict[str, Any]]) -> None:
        if not self._plain_logs:
            answer = await self.client.answer("POST", "/logs/", body_of(logs), repeats=0)
            if answer[0] != 422:
                self.client.check(answer, "POST /logs/")
                return
        plain = [{name: value for name, value in line.items() if name != "id"} for line in logs]
        answer = await self.client.answer("POST", "/logs/", body_of(plain), repeats=0)
        self.client.check(answer, "POST /logs/")
        self._plain_logs = True  # a stock server: it knows no ids of lines

    def interrupt(self, flow_run_id: UUID) -> None:
        """A run was cancelled: its code is to end. From any thread; harmless if it runs no more."""
        running = self.running.get(flow_run_id)
        if running is not None:
            running.request("The run was cancelled.")

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver what was recorded; whether all of it is."""
        limit = self.settings.engine.flush_seconds if timeout is None else timeout
        self.logs.hasten()
        records = self.records.flush(limit)
        return self.logs.flush(limit if records else 0.0) and records

    @property
    def has_waiting(self) -> bool:
        """Whether records or lines are not delivered yet."""
        return not (self.records.is_idle and self.logs.is_idle)

    def leave(self) -> bool:
        """Close without waiting, if only log lines are still under way, to a server that answers; whether it did."""
        away = self.records.away or self.logs.away
        if not (self._shares and self.link.lasting) or away or not self.records.is_idle:
            return False
        self.records.close()
        self.logs.close()
        self.logs.hasten()
        self._give_back(None if self.is_done else self)
        return True

    @property
    def is_done(self) -> bool:
        return self.logs.is_idle

    def deliver(self, timeout: float | None = None) -> None:
        """Wait until everything is delivered, or say what is not."""
        if not self.flush(timeout):
            logger.warning(
                "The server was not back in time: %d task-run records and %d log lines are lost.",
                self.records.waiting,
                self.logs.waiting,
            )

    def close(self) -> None:
        self.deliver()
        self.records.close()
        self.logs.close()
        self._give_back()

    def _give_back(self, leaving: Session | None = None) -> None:
        if self._shares:
            LINKS.give(self.link, leaving)
        else:
            self.link.close()
