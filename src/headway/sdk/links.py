"""The connection to a server that the root runs of this process share, at once or one after the other.

Opening one costs more than an empty flow: an event loop on a thread, a connection, a flow to be looked up. So a link
to a server elsewhere stays until the process ends or the settings change; the server inside this process is
opened and closed with each root run, because others may want its file in between.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Protocol
from uuid import UUID

from headway.client.client import open_transport
from headway.client.portal import Portal
from headway.core.server_lock import serving_url
from headway.core.settings import Settings

__all__ = ["LINKS", "Leaving", "Link"]


LAST_LINES_SECONDS = 5.0


class Leaving(Protocol):
    """Somebody who has gone and has left lines to be delivered."""

    @property
    def is_done(self) -> bool: ...

    def deliver(self, timeout: float) -> None: ...


class Link:
    """An event loop on a thread of its own, and a transport on it. `open` and `close` are for its owner."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.portal = Portal("headway-session")
        self.transport = open_transport(settings)
        self.flow_ids: dict[str, UUID] = {}
        """Of the flows that runs were made of, by name."""
        self.is_open = False
        self.users = 0
        self.leaving: list[Leaving] = []
        self._pid = os.getpid()

    @property
    def lasting(self) -> bool:
        """Whether it outlives a root run."""
        return self.transport.url.startswith("http")

    def serves(self, settings: Settings) -> bool:
        """Whether it leads where these settings lead, in this process."""
        if self._pid != os.getpid() or settings != self.settings:
            return False
        return settings.api_url is not None or serving_url(settings.home) == self.transport.url

    @property
    def is_used(self) -> bool:
        self.leaving = [one for one in self.leaving if not one.is_done]
        return self.users > 0 or bool(self.leaving)

    def open(self) -> None:
        if self.is_open:
            return
        self.portal.start()
        try:
            self.portal.call(self.transport.open())
        except BaseException:
            self.portal.stop()
            raise
        self.is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.portal.call(self.transport.close())
            self.portal.stop()


class Links:
    """The links of this process: the one in use, and those before it that still have something to deliver."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._kept: Link | None = None
        self._old: list[Link] = []

    def take(self, settings: Settings) -> Link:
        """The link for these settings; give it back with `give`."""
        with self._lock:
            link = self._kept
            if link is None or not link.serves(settings):
                link = Link(settings)
                if link.lasting:
                    self._replace(link)
            link.users += 1
            return link

    def _replace(self, link: Link) -> None:
        if self._kept is None and not self._old:
            atexit.register(self.close)
        if self._kept is not None:
            self._old.append(self._kept)
        self._kept = link
        for old in [old for old in self._old if not old.is_used]:
            self._old.remove(old)
            old.close()

    def give(self, link: Link, leaving: Leaving | None = None) -> None:
        """The link is not needed any more, except by what is `leaving`."""
        with self._lock:
            link.users -= 1
            if leaving is not None:
                link.leaving.append(leaving)
            elif not link.lasting:
                link.close()

    def close(self) -> None:
        """The process ends: deliver what is left and close all links."""
        with self._lock:
            links, self._kept, self._old = [*self._old, *([self._kept] if self._kept else [])], None, []
        atexit.unregister(self.close)
        for link in links:
            for leaving in link.leaving:
                leaving.deliver(LAST_LINES_SECONDS)
            link.close()

    def forget(self) -> None:
        """In a forked child: the parent's threads do not exist here, and its connections are not ours."""
        atexit.unregister(self.close)
        self._begin()


LINKS = Links()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LINKS.forget)
