"""Shared by all end-to-end tests: a place of one's own, with a real server in it.

`place` is a home folder without a server, `site` one with a server running; both stop what they started.
`api` is a client of the site's server, `project` a folder of flows that are deployed and run through it.
See `headway.testing.processes`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.testing.databases import point_to
from headway.testing.postgres import Cluster
from headway.testing.processes import Place
from headway.testing.project import Project


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `both_databases` are run on SQLite and on PostgreSQL."""
    if metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("stored_in", ["sqlite", "postgresql"])


@pytest.fixture
def stored_in() -> str:
    return "sqlite"


@pytest.fixture
def place(tmp_path: Path, stored_in: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A home folder; whatever the test starts there is ended, runs included."""
    if stored_in == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        point_to(tmp_path / "home", cluster.new_database())
    with Place(tmp_path / "home") as opened:
        yield opened
    end_stray_runs(opened.home)


@pytest.fixture
def site(place: Place) -> Place:
    """A place with a server."""
    place.server()
    return place


@pytest.fixture
def api(site: Place) -> Iterator[SyncClient]:
    """A client of the site's server."""
    with SyncClient(site.url, settings=Settings(home=site.home)) as client:
        yield client


@pytest.fixture
def project(tmp_path: Path, api: SyncClient) -> Project:
    """A folder of flows on the site."""
    return Project(tmp_path / "project", api)


def end_stray_runs(home: Path) -> None:
    """Runs survive their workers on purpose; a test must not leave them behind."""
    for path in home.glob("attempts/*/*/started.json"):
        for process in psutil.process_iter(["cmdline"]):
            if str(path.parent) in (process.info["cmdline"] or []):
                for child in process.children(recursive=True):
                    os.kill(child.pid, signal.SIGKILL)
