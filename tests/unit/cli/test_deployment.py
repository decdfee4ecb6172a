"""`headway deploy` and `deployment …`: finding what is meant, and saying when it runs next."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = """
from headway import flow

@flow
def {name}(day: str = "today", rows: int = 3):
    pass
"""


@pytest.fixture
def shop(cli, tmp_path: Path):
    for name in ("first", "second"):
        (tmp_path / f"{name}_flow.py").write_text(SOURCE.format(name=name))
    assert cli("work-pool", "create", "p", "--type", "process").code == 0
    return cli


def deploy(cli, flow: str = "first", name: str = "d", *more: str):
    return cli("deploy", f"{flow}_flow.py:{flow}", "--name", name, "--pool", "p", *more)


def test_a_name_that_two_deployments_have_must_be_given_in_full(shop) -> None:
    for flow in ("first", "second"):
        assert deploy(shop, flow).code == 0
    line = shop("deployment", "inspect", "d").only_line
    assert "2 deployments are named 'd': first/d, second/d. Give one as FLOW/NAME." in line
    found = shop("deployment", "inspect", "second/d", "--output", "json").json
    assert found["full_name"] == "second/d"
    assert shop("deployment", "inspect", found["id"], "--output", "json").json["full_name"] == "second/d"


def test_texts_stay_texts_where_the_flow_wants_them(shop) -> None:
    made = deploy(shop, "first", "d", "--param", "day=007", "--param", "rows=7", "--output", "json").json
    assert made["parameters"] == {"day": "007", "rows": 7}


def test_schedules_are_said_in_words_with_the_next_run(shop) -> None:
    assert "Schedule: every 90 s" in deploy(shop, "first", "d", "--interval", "90").out
    assert "Schedule: rrule FREQ=DAILY" in deploy(shop, "first", "e", "--rrule", "FREQ=DAILY").out
    unscheduled = deploy(shop, "first", "f").out
    assert "Schedule: none" in unscheduled
    assert "Next run: when asked for" in unscheduled
    paused = shop("deployment", "pause", "d").out
    assert paused == "Paused deployment 'first/d'.\n"
    assert shop("deployment", "inspect", "d", "--output", "json").json["next_run"] is None
    assert "Next run: 20" in shop("deployment", "resume", "d").out


def test_deploying_again_replaces_and_does_not_speak_of_moving(shop) -> None:
    deploy(shop)
    again = deploy(shop, "first", "d", "--tag", "x")
    assert "Updated deployment 'first/d'." in again.out
    assert "Moved" not in again.out
    assert len(shop("deployment", "ls", "--output", "json").json) == 1


def test_a_time_zone_without_a_schedule_is_wrong_usage(shop) -> None:
    said = deploy(shop, "first", "d", "--timezone", "Europe/Berlin")
    assert (said.code, "--timezone needs a schedule" in said.only_line) == (2, True)


def test_a_run_of_an_unknown_name_or_id_is_refused(shop) -> None:
    assert "not found; give its id or its name" in shop("flow-run", "inspect", "nobody").only_line
    line = shop("flow-run", "logs", "00000000-0000-0000-0000-000000000000").only_line
    assert "List runs with: headway flow-run ls" in line


def test_an_empty_list_of_deployments_says_how_to_make_one(cli) -> None:
    assert "headway deploy FILE.py:flow --name NAME --pool POOL" in cli("deployment", "ls").out
    line = cli("deployment", "run", "x").only_line
    assert "There are no deployments yet" in line


def test_a_run_that_no_worker_asks_for_is_explained_with_the_command_that_helps(shop) -> None:
    assert deploy(shop).code == 0
    run = shop("deployment", "run", "d", "--output", "json").json["id"]
    said = shop("flow-run", "explain", run).out
    assert "is Scheduled and ready for a worker that serves its queue, but none asks for it now:" in said
    assert "Start one with: headway worker start --pool p  [no_worker]" in said
    assert shop("work-queue", "pause", "default", "--pool", "p").code == 0
    said = shop("flow-run", "explain", run).out
    assert "is Scheduled and would not be started now:" in said
    assert "Resume it with: headway work-queue resume default --pool p" in said


def test_a_wrong_parameter_is_told_without_saying_error_twice(shop) -> None:
    assert deploy(shop).code == 0
    line = shop("deployment", "run", "d", "--param", "rows=many").only_line
    assert line.startswith("Error: parameter 'rows' is wrong: 'many' is not of type 'integer'")


def test_an_interval_with_a_unit_is_refused_with_what_to_write(shop) -> None:
    assert "'5m' is not a number of seconds; write e.g. 300" in deploy(shop, "first", "d", "--interval", "5m").only_line
