"""The whole command tree with `--output json`, against a real server: every answer is JSON."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import Any

import click
import pytest

from headway.cli.root import root
from headway.testing.processes import HEADWAY, Place

FLOWS = """
from headway import flow

@flow(log_prints=True)
def greet(name: str = "world", fail: bool = False):
    print(f"hello {name}")
    if fail:
        raise ValueError("asked to fail")
"""
JSON = ("--output", "json")


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> set[str]:
    if not isinstance(command, click.Group):
        return {" ".join(path)}
    context = click.Context(command)
    found: set[str] = set()
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found |= leaves(child, (*path, name))
    return found


class Walk:
    """Runs commands with `--output json` and remembers which."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.walked: set[str] = set()

    def one(self, command: str, *arguments: str) -> Any:
        """The one JSON value that a command answers with."""
        self.walked.add(command)
        return self.place.run(*command.split(), *arguments, *JSON).json

    def lines(self, command: str, *arguments: str, code: int = 0) -> list[Any]:
        """The JSON lines of a command that follows something."""
        self.walked.add(command)
        done = self.place.run(*command.split(), *arguments, *JSON, check=False)
        assert done.code == code, done.out + done.err
        return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture
def walk(place: Place) -> Walk:
    (place.home / "flows.py").write_text(FLOWS)
    return Walk(place)


@pytest.mark.timeout(300)
def test_every_command_of_the_tree_answers_in_json(walk: Walk) -> None:
    serve(walk)
    pools_and_queues(walk)
    settings(walk)
    deployments_and_runs(walk)
    deletions(walk)
    assert leaves(root) - walk.walked == set(), "commands that this test does not walk"


def serve(walk: Walk) -> None:
    command = [HEADWAY, "server", "start", "--port", "0", *JSON]
    server = walk.place.program(*command)
    server.wait_for(r"\}")
    said = json.loads(server.out[0])
    walk.walked.add("server start")
    walk.place.url = said["url"]
    assert walk.one("server status")["healthy"] is True
    assert walk.one("version")["api_url"] == said["url"]


def pools_and_queues(walk: Walk) -> None:
    assert walk.one("work-pool create", "p", "--type", "process")["name"] == "p"
    assert walk.one("work-pool ls")[0]["workers"] == 0
    assert walk.one("work-pool inspect", "p")["queues"][0]["name"] == "default"
    assert walk.one("work-pool backlog", "p")["waiting"] == 0
    assert walk.one("work-pool update", "p", "--description", "d")["description"] == "d"
    assert walk.one("work-pool pause", "p")["is_paused"] is True
    assert walk.one("work-pool resume", "p")["is_paused"] is False
    assert walk.one("work-pool set-concurrency-limit", "p", "3")["concurrency_limit"] == 3
    assert walk.one("work-pool clear-concurrency-limit", "p")["concurrency_limit"] is None
    assert "headway.engine" in walk.one("work-pool preview", "p")["preview"]
    assert "before 'default'" in walk.one("work-queue create", "q", "--pool", "p", "--priority", "0")["served_order"]
    assert [queue["name"] for queue in walk.one("work-queue ls", "--pool", "p")] == ["q", "default"]
    assert walk.one("work-queue inspect", "q", "--pool", "p")["priority"] == 0
    assert walk.one("work-queue update", "q", "--pool", "p", "--priority", "4")["priority"] == 4
    assert walk.one("work-queue pause", "q", "--pool", "p")["status"] == "PAUSED"
    assert walk.one("work-queue resume", "q", "--pool", "p")["is_paused"] is False
    assert walk.one("work-queue set-concurrency-limit", "q", "2", "--pool", "p")["concurrency_limit"] == 2
    assert walk.one("work-queue clear-concurrency-limit", "q", "--pool", "p")["concurrency_limit"] is None
    assert walk.one("work-queue delete", "q", "--pool", "p")["deleted"] == "q"
    assert "process" in [known["type"] for known in walk.one("worker-type ls")]


def settings(walk: Walk) -> None:
    assert walk.one("config set", "log_level", "INFO")["value"] == "INFO"
    assert "log_level" in [row["name"] for row in walk.one("config view")]
    assert walk.one("config unset", "log_level")["value"] is None


def deployments_and_runs(walk: Walk) -> None:
    made = walk.one("deploy", "flows.py:greet", "--name", "d", "--pool", "p", "--cron", "0 6 * * *")
    assert (made["full_name"], made["created"]) == ("greet/d", True)
    assert walk.one("deployment ls")[0]["name"] == "d"
    assert walk.one("deployment inspect", "greet/d")["work_pool_type"] == "process"
    assert walk.one("deployment preview", "d")["work_pool"] == "p"
    assert walk.one("deployment pause", "d")["paused"] is True
    run = walk.one("deployment run", "d", "--param", "fail=true")["id"]
    assert walk.one("flow-run explain", run)["reasons"]
    assert walk.one("deployment resume", "d")["paused"] is False
    said = walk.lines("worker start", "--pool", "p", "--name", "w", "--run-once")
    assert any("registered with id" in line["message"] for line in said)
    assert walk.one("worker ls", "--pool", "p")[0]["name"] == "w"
    assert walk.lines("flow-run watch", run, code=1)[-1]["state"]["type"] == "FAILED"
    assert "hello world" in [line["message"] for line in walk.one("flow-run logs", run)]
    assert "hello world" in [line["log"]["message"] for line in walk.lines("flow-run logs", run, "--follow")]
    assert walk.one("flow-run inspect", run)["state_name"] == "Failed"
    assert walk.one("flow-run retry", run)["state_name"] == "AwaitingRetry"
    assert walk.one("flow-run cancel", run)["state_name"] == "Cancelled"
    assert run in [row["id"] for row in walk.one("flow-run ls", "--state", "cancelled", "--deployment", "d")]
    executed = walk.one("deployment run", "d")["id"]
    walk.walked.add("flow-run execute")  # what it prints is the flow's own
    assert walk.place.run("flow-run", "execute", executed).code == 0
    assert walk.one("flow-run inspect", executed)["state_name"] == "Completed"
    assert walk.one("flow-run delete", run)["deleted"] == run


def deletions(walk: Walk) -> None:
    assert walk.one("deployment delete", "d", "--force")["deleted"] == "greet/d"
    assert walk.one("work-pool delete", "p")["deleted"] == "p"


def test_a_person_sees_a_drawn_table_and_a_pipe_plain_columns(site: Place) -> None:
    site.run("work-pool", "create", "p", "--type", "process")
    plain = site.run("work-pool", "ls").out.splitlines()
    assert plain[0].split() == ["Name", "Type", "Workers", "Status", "Concurrency"]
    assert "\u2503" in shown_in_a_terminal(site, "work-pool", "ls")


def shown_in_a_terminal(site: Place, *arguments: str) -> str:
    """What a command writes when its output is a terminal."""
    ours, theirs = pty.openpty()
    try:
        environment = {**site.env(), "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([HEADWAY, *arguments], env=environment, stdout=theirs, timeout=60, check=True)
        assert done.returncode == 0
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_ctrl_c_ends_a_command_that_waits_and_says_that_the_run_goes_on(site: Place) -> None:
    (site.home / "flows.py").write_text(FLOWS)
    site.run("work-pool", "create", "p", "--type", "process")
    site.run("deploy", "flows.py", "--name", "d", "--pool", "p")
    watching = site.program(HEADWAY, "deployment", "run", "d", "--watch")
    watching.wait_for("Scheduled")
    watching.signal(signal.SIGINT)
    assert watching.wait() == 130
    goes_on, interrupted = watching.err
    assert goes_on.startswith("The run goes on. Watch it again: headway flow-run watch ")
    assert interrupted == "Interrupted."
