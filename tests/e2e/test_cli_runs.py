"""Working at the command line: deploy, run, watch, move, cancel, delete; and what each of them says."""

from __future__ import annotations

import re

import pytest

from headway.testing.processes import HEADWAY, Place
from headway.testing.waiting import eventually

FLOWS = """
import time
from headway import flow

@flow(log_prints=True)
def greet(name: str = "world", seconds: float = 0.0):
    print(f"hello {name}")
    time.sleep(seconds)
    print("good-bye")
"""


@pytest.fixture
def shop(site: Place) -> Place:
    """A site with two pools and a flow."""
    (site.home / "flows.py").write_text(FLOWS)
    site.run("work-pool", "create", "small", "--type", "process")
    site.run("work-pool", "create", "large", "--type", "process")
    return site


def state(place: Place, run: str) -> str:
    name: str = place.run("flow-run", "inspect", run, "--output", "json").json["state_name"]
    return name


def test_deploying_and_running_say_what_was_made(shop: Place) -> None:
    shop.run("work-queue", "create", "night", "--pool", "small")
    said = shop.run(
        "deploy", "flows.py:greet", "--name", "nightly", "--pool", "small", "--work-queue", "night",
        "--cron", "0 6 * * *", "--timezone", "Europe/Berlin",
        "--param", "name=ops", "--job-variable", "env.A=1", "--tag", "t",
    ).out.splitlines()  # fmt: skip
    assert said[0] == "Created deployment 'greet/nightly'."
    assert re.fullmatch(r"id: [0-9a-f-]{36}", said[1])
    assert said[2:5] == [
        "Work Pool: small (type: process)",
        "Work Queue: small/night",
        "Schedule: cron 0 6 * * * (Europe/Berlin)",
    ]
    assert re.fullmatch(r"Next run: \d{4}-\d\d-\d\d 0[45]:00:00 UTC", said[5])
    made = shop.run("deployment", "run", "nightly").out
    assert re.search(r"^Flow run: \S+$", made, re.M)
    assert re.search(r"^State: Scheduled$", made, re.M)
    assert re.search(r"^Work Queue: small/night$", made, re.M)
    facts = shop.run("deployment", "inspect", "greet/nightly", "--output", "json").json
    assert (facts["parameters"], facts["tags"], facts["entrypoint"]) == ({"name": "ops"}, ["t"], "flows.py:greet")
    assert facts["path"] == str(shop.home)


def test_watching_a_run_shows_states_and_lines_and_ends_with_its_outcome(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    shop.worker("small")
    done = shop.run("deployment", "run", "d", "--param", "name=42", "--watch")
    for words in ("Scheduled", "Pending", "Running", "hello 42", "good-bye", "Completed"):
        assert words in done.out
    failed = shop.run("deployment", "run", "d", "-j", "working_dir=/no/such/folder", "--watch", check=False)
    assert failed.code == 1


def test_following_logs_ends_with_the_run_and_repeats_no_line(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    run = shop.run("deployment", "run", "d", "--param", "seconds=2", "--output", "json").json["id"]
    following = shop.program(HEADWAY, "flow-run", "logs", run, "--follow")
    shop.worker("small")
    assert following.wait(60) == 0
    said = [line.split()[-1] for line in following.out]
    assert said.count("world") == 1
    assert said.count("good-bye") == 1


def test_moving_a_deployment_says_that_the_waiting_runs_move_too(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    run = shop.run("deployment", "run", "d", "--output", "json").json["id"]
    said = shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "large").out
    assert "Updated deployment 'greet/d'." in said
    assert "Moved from small/default to large/default: its 1 waiting run moved too" in said
    assert shop.run("flow-run", "inspect", run, "--output", "json").json["work_pool_name"] == "large"
    shop.worker("large", "--run-once")
    eventually(lambda: state(shop, run) == "Completed", what="the moved run")


def test_cancelling_waits_for_the_end_and_retrying_runs_again(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    shop.worker("small")
    run = shop.run("deployment", "run", "d", "--param", "seconds=600", "--output", "json").json["id"]
    eventually(lambda: state(shop, run) == "Running", what="the run")
    early = shop.run("flow-run", "retry", run, check=False)
    assert early.code == 1
    assert "only a run that has ended can be retried" in early.err
    assert "Cancelled" in shop.run("flow-run", "cancel", run, "--watch").out
    again = shop.run("flow-run", "cancel", run, check=False)
    assert "has ended already (Cancelled)" in again.err
    assert "will run again" in shop.run("flow-run", "retry", run).out
    eventually(lambda: state(shop, run) == "Running", what="the second attempt")
    assert shop.run("flow-run", "inspect", run, "--output", "json").json["attempt"] == 2
    shop.run("flow-run", "cancel", run, "--watch")


def test_what_waits_or_runs_keeps_its_pool_and_deployment_unless_forced(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    shop.worker("small")
    running = shop.run("deployment", "run", "d", "--param", "seconds=600", "--output", "json").json["id"]
    eventually(lambda: state(shop, running) == "Running", what="the run")
    shop.run("work-pool", "pause", "small")
    waiting = shop.run("deployment", "run", "d", "--output", "json").json["id"]
    for command in (("work-pool", "delete", "small"), ("deployment", "delete", "d")):
        refused = shop.run(*command, check=False)
        assert (refused.code, "1 waiting and 1 running" in refused.err) == (1, True), refused.err
        assert "--force" in refused.err
    assert "Deleted work pool 'small'." in shop.run("work-pool", "delete", "small", "--force").out
    assert state(shop, waiting) == "Cancelled"
    assert state(shop, running) == "Cancelled"


def test_explain_gives_all_reasons_at_once(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    run = shop.run("deployment", "run", "d", "--output", "json").json["id"]
    shop.run("work-pool", "pause", "small")
    shop.run("work-queue", "pause", "default", "--pool", "small")
    said = shop.run("flow-run", "explain", run)
    assert "would not be started now" in said.out
    assert len(re.findall(r"^  - .*paused", said.out, re.M)) == 2
    facts = shop.run("flow-run", "explain", run, "--output", "json").json
    assert facts["claimable"] is False
    assert all({"code", "message", "facts"} <= reason.keys() for reason in facts["reasons"])


def test_preview_shows_what_would_be_started_with_secrets_masked(shop: Place) -> None:
    shop.run(
        "deploy",
        "flows.py:greet",
        "--name",
        "d",
        "--pool",
        "small",
        "-j",
        "env.DB_PASSWORD=hunter2",
        "-j",
        "env.REGION=eu",
    )
    said = shop.run("deployment", "preview", "d", "-j", "env.STAGE=test").out
    assert "headway.engine" in said
    assert f"Working directory: {shop.home}" in said
    assert "REGION=eu" in said
    assert "STAGE=test" in said
    assert "hunter2" not in said
    assert shop.run("flow-run", "ls", "--output", "json").json == []


def test_a_run_can_be_executed_here(shop: Place) -> None:
    shop.run("deploy", "flows.py:greet", "--name", "d", "--pool", "small")
    run = shop.run("deployment", "run", "d", "--output", "json").json["id"]
    assert shop.run("flow-run", "execute", run).code == 0
    assert state(shop, run) == "Completed"


def test_without_a_server_the_same_commands_work_on_the_local_database(place: Place) -> None:
    (place.home / "flows.py").write_text(FLOWS)
    place.run("work-pool", "create", "p", "--type", "process")
    place.run("deploy", "flows.py:greet", "--name", "d", "--pool", "p")
    made = place.run("deployment", "run", "d", "--output", "json").json
    place.server()
    place.worker("p", "--run-once")
    eventually(lambda: state(place, made["id"]) == "Completed", what="the run made before the server was there")
