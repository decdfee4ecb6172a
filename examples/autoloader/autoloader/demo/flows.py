"""The demo's own flow: the autoloader's, made to meet another run just before its first commit.

Two runs with this flow have looked at the same version of the table when they commit, so exactly one of them meets a
conflict and has to look again. Where they meet is told by the environment of the workers.
"""

import os
import time
from pathlib import Path
from typing import Any, Literal

from autoloader.flows import ingest
from autoloader.identity import Identity
from autoloader.settings import Ingestion, Routing, from_json
from headway import flow

MEETING_PLACE = "AUTOLOADER_DEMO_MEETING_PLACE"
PARTIES = 2
PATIENCE = 20.0
"""Seconds."""


@flow(name="autoload", log_prints=True)
def autoload(
    ingestion: dict[str, Any],
    routing: dict[str, Any],
    warehouse: str,
    mode: Literal["decide", "load", "preview"] = "decide",
) -> str:
    """As the autoloader's, but the first commit waits for another run's first commit."""
    settings = from_json(ingestion, Ingestion)
    meeting = Meeting(Path(os.environ[MEETING_PLACE]), settings.name)
    return ingest(settings, from_json(routing, Routing), Path(warehouse), mode, meeting.attend)


class Meeting:
    """Attended once, by leaving a file and waiting for the other's; nobody waits for ever."""

    def __init__(self, place: Path, name: str) -> None:
        self.place = place
        self.name = name
        self.attended = False

    def attend(self, _: Identity) -> None:
        if self.attended:
            return
        self.attended = True
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / self.name).touch()
        patience = time.monotonic() + PATIENCE
        while len(list(self.place.iterdir())) < PARTIES and time.monotonic() < patience:
            time.sleep(0.01)
