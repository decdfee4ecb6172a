"""Shared by all tests: `--live` compares with a real reference server, installed on first use (CI always does);
what a test notes with `record_property("note", …)` is shown at the end of the run."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from headway.testing.postgres import Cluster, PostgresMissing

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A runner that was started in the background; the processes that tests start must still hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Nobody's own settings, and nobody's own home: a test that names none gets a folder that goes with the run.
for name in [name for name in os.environ if name.startswith("HEADWAY_")]:
    if not name.startswith(("HEADWAY_TEST_", "HEADWAY_REFERENCE_")):
        del os.environ[name]
os.environ["HEADWAY_HOME"] = tempfile.mkdtemp(prefix="headway-tests-")
atexit.register(shutil.rmtree, os.environ["HEADWAY_HOME"], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", default=False, help="compare with a live reference server")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL cluster for all tests of this process; `postgres.new_database()` is a database of one's own."""
    try:
        cluster = Cluster().__enter__()
    except PostgresMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)
    try:
        yield cluster
    finally:
        cluster.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    notes = [
        text
        for report in terminalreporter.getreports("passed")
        if report.when == "call"
        for name, text in report.user_properties
        if name == "note"
    ]
    if notes:
        terminalreporter.section("notes")
        for note in notes:
            terminalreporter.write_line(str(note))
