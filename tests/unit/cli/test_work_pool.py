"""`headway work-pool …` and `work-queue …`."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def pool(cli):
    assert cli("work-pool", "create", "p", "--type", "process").code == 0
    return cli


def test_the_list_has_the_promised_columns(pool) -> None:
    pool("work-pool", "create", "limited", "--type", "process", "--concurrency-limit", "5", "--paused")
    lines = pool("work-pool", "ls").out.splitlines()
    assert lines[0].split() == ["Name", "Type", "Workers", "Status", "Concurrency"]
    assert lines[1].split() == ["limited", "process", "0", "PAUSED", "0", "of", "5"]
    assert lines[2].split()[:4] == ["p", "process", "0", "NOT_READY"]


def test_an_empty_list_says_how_to_make_one(cli) -> None:
    assert "headway work-pool create NAME --type" in cli("work-pool", "ls").out
    assert cli("work-pool", "ls", "--output", "json").json == []


def test_creating_says_what_was_made_and_what_comes_next(cli) -> None:
    said = cli("work-pool", "create", "p", "--type", "process")
    assert "Created work pool 'p' (type: process)." in said.out
    assert "headway worker start --pool p" in said.out


def test_inspect_shows_the_type_and_the_templates_values(pool) -> None:
    template = json.dumps({"working_dir": "/srv/flows", "env": {"A": "1"}})
    assert pool("work-pool", "create", "t", "--type", "process", "--base-job-template", template).code == 0
    out = pool("work-pool", "inspect", "t").out
    assert "Type: process" in out
    assert "working_dir: /srv/flows" in out
    assert 'env: {"A": "1"}' in out
    assert "default (priority 1)" in out
    facts = pool("work-pool", "inspect", "t", "--output", "json").json
    assert facts["job_configuration"]["working_dir"] == "/srv/flows"


def test_another_type_is_refused_with_the_reason_and_what_to_do(pool) -> None:
    line = pool("work-pool", "update", "p", "--type", "kubernetes").only_line
    assert "The type of work pool 'p' is 'process' and never changes" in line
    assert "Create another pool of type 'kubernetes' and move the deployments there." in line


def test_an_unknown_type_is_refused_with_the_known_ones(cli) -> None:
    line = cli("work-pool", "create", "p", "--type", "proces").only_line
    assert "'proces' is not known here; known types: process. Did you mean 'process'?" in line


def test_an_unknown_type_with_a_template_is_made_with_a_warning(cli) -> None:
    said = cli("work-pool", "create", "p", "--type", "abacus", "--base-job-template", '{"job_configuration": {"n": 1}}')
    assert said.code == 0
    assert said.err.startswith("Warning: Work pool type 'abacus' is not known here; known types: process.")


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect",), ("pause",), ("resume",), ("delete",), ("preview",), ("clear-concurrency-limit",),
    ],
)  # fmt: skip
def test_a_name_that_does_not_exist_suggests_the_nearest(cli, arguments) -> None:
    cli("work-pool", "create", "process-pool", "--type", "process")
    line = cli("work-pool", *arguments, "proces-pol").only_line
    assert line == "Error: Work pool 'proces-pol' not found. Did you mean 'process-pool'?"


def test_limits_pauses_and_deletion(pool) -> None:
    assert "at most 3 at once" in pool("work-pool", "set-concurrency-limit", "p", "3").out
    assert pool("work-pool", "inspect", "p", "--output", "json").json["concurrency_limit"] == 3
    assert pool("work-pool", "clear-concurrency-limit", "p", "--output", "json").json["concurrency_limit"] is None
    assert pool("work-pool", "pause", "p", "--output", "json").json["status"] == "PAUSED"
    assert pool("work-pool", "resume", "p", "--output", "json").json["status"] == "NOT_READY"
    assert pool("work-pool", "update", "p", "--description", "d", "--output", "json").json["description"] == "d"
    assert "nothing to change" in pool("work-pool", "update", "p").only_line
    assert pool("work-pool", "delete", "p").out == "Deleted work pool 'p'.\n"
    assert pool("work-pool", "ls", "--output", "json").json == []


def test_preview_renders_what_would_be_started_with_secrets_masked(pool) -> None:
    said = pool("work-pool", "preview", "p", "-j", "env.DB_PASSWORD=hunter2", "-j", "env.REGION=eu")
    assert "headway.engine" in said.out
    assert "REGION=eu" in said.out
    assert "hunter2" not in said.out
    facts = pool("work-pool", "preview", "p", "-j", "env.DB_PASSWORD=hunter2", "--output", "json")
    assert "hunter2" not in facts.out
    assert facts.json["type"] == "process"


def test_preview_refuses_a_job_variable_that_the_pool_does_not_have(pool) -> None:
    line = pool("work-pool", "preview", "p", "-j", "wroking_dir=/x").only_line
    assert "unknown job variable 'wroking_dir'" in line
    assert "working_dir" in line


def test_a_queue_says_which_queues_it_is_served_before_and_after(pool) -> None:
    said = pool("work-queue", "create", "fast", "--pool", "p", "--priority", "0")
    assert "Queue 'fast' (priority 0) is served before 'default'." in said.out
    said = pool("work-queue", "update", "fast", "--pool", "p", "--priority", "5")
    assert "Queue 'fast' (priority 5) is served after 'default'." in said.out


def test_creating_the_automatic_default_queue_updates_it_and_succeeds(pool) -> None:
    said = pool("work-queue", "create", "default", "--pool", "p", "--limit", "2", "--priority", "0")
    assert said.code == 0
    assert "has been updated" in said.out
    facts = pool("work-queue", "inspect", "default", "--pool", "p", "--output", "json").json
    assert (facts["concurrency_limit"], facts["priority"]) == (2, 0)
    assert pool("work-queue", "create", "default", "--pool", "p").code == 0


def test_any_other_queue_that_exists_is_refused_with_the_remedy(pool) -> None:
    pool("work-queue", "create", "q", "--pool", "p")
    line = pool("work-queue", "create", "q", "--pool", "p").only_line
    assert "already exists in work pool 'p'" in line
    assert "headway work-queue update q --pool p" in line


def test_queues_are_listed_in_the_order_they_are_served(pool) -> None:
    pool("work-queue", "create", "slow", "--pool", "p", "--priority", "7")
    pool("work-queue", "create", "fast", "--pool", "p", "--priority", "0")
    lines = pool("work-queue", "ls", "--pool", "p").out.splitlines()
    assert lines[0].split()[:4] == ["Name", "Priority", "Status", "Concurrency"]
    assert [line.split()[0] for line in lines[1:]] == ["fast", "default", "slow"]


def test_queue_limits_pauses_renaming_and_deletion(pool) -> None:
    pool("work-queue", "create", "q", "--pool", "p")
    last = ("--pool", "p", "--output", "json")
    assert pool("work-queue", "pause", "q", *last).json["status"] == "PAUSED"
    assert pool("work-queue", "resume", "q", *last).json["status"] == "NOT_READY"
    assert pool("work-queue", "set-concurrency-limit", "q", "4", *last).json["concurrency_limit"] == 4
    assert pool("work-queue", "clear-concurrency-limit", "q", *last).json["concurrency_limit"] is None
    assert pool("work-queue", "update", "q", "--name", "r", *last).json["name"] == "r"
    assert pool("work-queue", "delete", "r", *last).json["deleted"] == "r"
    assert "stays as long as the pool" in pool("work-queue", "delete", "default", "--pool", "p").only_line


def test_an_unknown_queue_suggests_the_nearest(pool) -> None:
    line = pool("work-queue", "inspect", "defualt", "--pool", "p").only_line
    assert line == "Error: Work queue 'p/defualt' not found. Did you mean 'default'?"


def test_worker_types_are_listed_with_where_they_are_known(cli) -> None:
    assert "process" in cli("worker-type", "ls").out
    (found,) = [t for t in cli("worker-type", "ls", "--output", "json").json if t["type"] == "process"]
    assert (found["installed_here"], found["known_to_server"]) == (True, True)


def test_workers_of_a_pool_without_any_say_how_to_start_one(pool) -> None:
    assert "headway worker start --pool p" in pool("worker", "ls", "--pool", "p").out
    assert pool("worker", "ls", "--pool", "p", "--output", "json").json == []
