"""Bad input at the command line: one line on stderr that names the thing and the remedy, no traceback."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path

import pytest

from headway.testing.processes import Command, Place

FLOWS = """
from headway import flow

@flow
def etl(day: str = "today", rows: int = 3):
    pass
"""


def refusal(done: Command) -> str:
    """The one line of a command that was refused."""
    assert done.code != 0, done.out
    assert "Traceback" not in done.err + done.out
    (line,) = done.err.splitlines()
    return line


@pytest.fixture
def stocked(site: Place) -> Place:
    """A site with a pool, a flow file and a deployment."""
    (site.home / "flows.py").write_text(FLOWS)
    (site.home / "broken.py").write_text("import nothing_of_that_name\n")
    site.run("work-pool", "create", "local", "--type", "process")
    site.run("deploy", "flows.py:etl", "--name", "nightly", "--pool", "local")
    return site


DEPLOY = ("deploy", "flows.py:etl", "--name", "n", "--pool", "local")
REFUSED = {
    "pool": (("deploy", "flows.py:etl", "--name", "n", "--pool", "locl"), "'locl' not found. Did you mean 'local'?"),
    "pool of a worker": (("work-pool", "inspect", "locl"), "'locl' not found. Did you mean 'local'?"),
    "type": (("work-pool", "create", "x", "--type", "proces"), "'proces' is not known here; known types: process."),
    "changed type": (("work-pool", "update", "local", "--type", "docker"), "never changes"),
    "queue": ((*DEPLOY, "--work-queue", "defalt"), "'defalt' not found in work pool 'local'. Did you mean 'default'?"),
    "queue of a run": (
        ("deployment", "run", "nightly", "-q", "defalt"),
        "headway work-queue create defalt --pool local",
    ),
    "flow": (("deploy", "flows.py:elt", "--name", "n", "--pool", "local"), "has no flow 'elt'. Did you mean 'etl'?"),
    "flow of runs": (("flow-run", "ls", "--flow", "elt"), "Flow 'elt' not found. Did you mean 'etl'?"),
    "parameter": ((*DEPLOY, "--param", "dya=1"), "has no parameter 'dya'. Did you mean 'day'?"),
    "ill-typed parameter": ((*DEPLOY, "--param", "rows=many"), "'rows'"),
    "parameter of a run": (("deployment", "run", "nightly", "--param", "rows=many"), "'rows'"),
    "unknown parameter of a run": (("deployment", "run", "nightly", "--param", "dya=1"), "'dya'"),
    "job variable": ((*DEPLOY, "--job-variable", "wroking_dir=/x"), "unknown job variable 'wroking_dir'"),
    "ill-typed job variable": ((*DEPLOY, "--job-variable", "stream_output=maybe"), "allowed: command"),
    "job variable of a run": (("deployment", "run", "nightly", "-j", "nope=1"), "unknown job variable 'nope'"),
    "cron": ((*DEPLOY, "--cron", "61 * * * *"), "--cron: bad cron '61 * * * *'"),
    "time zone": ((*DEPLOY, "--cron", "0 6 * * *", "--timezone", "Europe/Berln"), "did you mean 'Europe/Berlin'?"),
    "interval": ((*DEPLOY, "--interval", "-5"), "--interval"),
    "two schedules": ((*DEPLOY, "--interval", "5", "--cron", "0 6 * * *"), "exclude each other"),
    "entrypoint": (("deploy", "nowhere.py:etl", "--name", "n", "--pool", "local"), "there is no file"),
    "module": (("deploy", "no.such.module:etl", "--name", "n", "--pool", "local"), "there is no module"),
    "import": (("deploy", "broken.py:etl", "--name", "n", "--pool", "local"), "nothing_of_that_name"),
    "deployment": (("deployment", "run", "nihgtly"), "'nihgtly' not found. Did you mean 'nightly'?"),
    "full name": (("deployment", "inspect", "elt/nightly"), "Did you mean 'etl/nightly'?"),
    "flow run": (("flow-run", "inspect", "00000000-0000-0000-0000-000000000000"), "headway flow-run ls"),
    "worker": (("worker", "ls", "--pool", "locl"), "Did you mean 'local'?"),
}


@pytest.mark.timeout(300)
def test_what_does_not_exist_or_does_not_fit_is_named_with_the_remedy(stocked: Place) -> None:
    for what, (arguments, words) in REFUSED.items():
        line = refusal(stocked.run(*arguments, check=False))
        assert words in line, f"{what}: {line}"
    assert stocked.run("flow-run", "ls", "--output", "json").json == []
    assert len(stocked.run("deployment", "ls", "--output", "json").json) == 1


def test_a_worker_for_an_unknown_pool_or_queue_ends_at_once(stocked: Place) -> None:
    no_pool = stocked.run("worker", "start", "--pool", "locl", check=False)
    assert (no_pool.code, "Traceback" in no_pool.err) == (1, False)
    assert "Work pool 'locl' not found. Did you mean 'local'?" in no_pool.err
    no_queue = stocked.run("worker", "start", "--pool", "local", "--work-queue", "defalt", check=False)
    assert no_queue.code == 1
    assert "Did you mean 'default'?" in no_queue.err


def test_a_port_in_use_names_the_address_and_the_remedy(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refusal(place.run("server", "start", "--port", str(port), check=False))
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "mysql://localhost/x",
            "--database-url: the given value is not allowed; it must be a URL starting with sqlite://",
        ),
        ("sqlite:////proc/no/such/folder/x.db", "Cannot use the database sqlite:////proc/no/such/folder/x.db"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_with_the_remedy(place: Place, url: str, words: str) -> None:
    line = refusal(place.run("server", "start", "--port", "0", "--database-url", url, check=False))
    assert words in line
    assert "--database-url" in line


def test_a_second_server_on_one_home_names_the_first(site: Place) -> None:
    line = refusal(site.run("server", "start", "--port", "0", check=False))
    assert "A server already runs on" in line


@pytest.mark.parametrize("command", [("server", "start", "--port", "0"), ("work-pool", "ls")])
def test_a_corrupted_database_names_the_file_and_the_remedy(place: Place, command: tuple[str, ...]) -> None:
    (place.home / "headway.db").write_bytes(os.urandom(8192))
    line = refusal(place.run(*command, check=False))
    assert str(place.home / "headway.db") in line
    assert "backup" in line


def test_a_newer_database_is_refused_saying_so(place: Place) -> None:
    place.run("work-pool", "ls")
    with sqlite3.connect(place.home / "headway.db") as database:
        database.execute("UPDATE headway_version SET version_num = '9999'")
    database.close()
    line = refusal(place.run("server", "start", "--port", "0", check=False))
    assert "newer" in line


@pytest.mark.parametrize(
    "command", [("server", "start", "--port", "0"), ("work-pool", "ls"), ("config", "set", "log_level", "INFO")]
)
def test_a_home_that_cannot_be_written_is_named_with_the_remedy(
    tmp_path: Path, place: Place, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("a file where a folder is wanted")
    line = refusal(place.run(*command, check=False, home=tmp_path / "file" / "home"))
    assert str(tmp_path / "file") in line
    assert "HEADWAY_HOME" in line or "--database-url" in line


def test_a_server_that_is_away_names_the_url_and_the_remedy(place: Place) -> None:
    line = refusal(place.run("work-pool", "ls", check=False, api_url="http://127.0.0.1:1/api", client_retries=0))
    assert "http://127.0.0.1:1/api" in line
    assert "headway server start" in line
