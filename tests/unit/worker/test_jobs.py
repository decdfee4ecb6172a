"""From a resolved configuration to what is started."""

from __future__ import annotations

from uuid import UUID

import pytest

from headway.core.errors import DriverNotFound, StartFailed
from headway.drivers.process import Process
from headway.testing.scripted_plane import ScriptedControlPlane
from headway.worker.jobs import RunEnvironment, job_of, preview

REACH = RunEnvironment("http://host/api", "k3y")


def claim(**configuration: object):  # type: ignore[no-untyped-def]
    return ScriptedControlPlane("p").put("brave-otter", 2, **configuration)


def test_the_environment_says_which_run_which_attempt_and_where_the_api_is() -> None:
    made = claim()
    job = job_of(made, Process, REACH)
    assert {name: job.env[name] for name in job.env if name.startswith(("HEADWAY", "PREFECT"))} == {
        "HEADWAY_API_URL": "http://host/api",
        "HEADWAY_API_KEY": "k3y",
        "HEADWAY_FLOW_RUN_ID": str(made.flow_run.id),
        "PREFECT__FLOW_RUN_ID": str(made.flow_run.id),
        "HEADWAY_ATTEMPT": "2",
        "HEADWAY_ATTEMPT_TOKEN": "token-of-brave-otter",
    }


def test_a_configuration_may_move_the_api_but_not_the_run() -> None:
    env = {"HEADWAY_API_URL": "http://bridge/api", "HEADWAY_ATTEMPT": "99", "MINE": "1", "GONE": None}
    job = job_of(claim(env=env), Process, REACH)
    assert job.env["HEADWAY_API_URL"] == "http://bridge/api"
    assert job.env["HEADWAY_ATTEMPT"] == "2"
    assert (job.env["MINE"], job.env["GONE"]) == ("1", None)


def test_a_stock_engine_gets_the_url_under_its_own_name() -> None:
    assert job_of(claim(engine="prefect"), Process, REACH).env["PREFECT_API_URL"] == "http://host/api"
    assert "PREFECT_API_URL" not in job_of(claim(), Process, REACH).env


def test_command_name_and_labels_come_from_the_configuration_over_the_run() -> None:
    plain = job_of(claim(), Process, REACH)
    assert (plain.name, plain.command) == ("brave-otter", ())
    job = job_of(claim(command="make 'all of it'", name="mine", labels={"team": "x"}), Process, REACH)
    assert (job.name, job.command) == ("mine", ("make", "all of it"))
    assert job.labels.items() >= {("team", "x"), ("headway.attempt", "2"), ("headway.flow", "flow")}


def test_a_preview_masks_what_is_secret_and_starts_nothing() -> None:
    shown = preview("process", {"env": {"DB_PASSWORD": "hunter2", "PLAIN": "v"}}, pool="p", root="/srv/project")
    assert "-m headway.engine" in shown
    assert "Working directory: /srv/project" in shown
    assert "PLAIN=v" in shown
    assert "hunter2" not in shown
    assert str(UUID(int=0)) not in shown


def test_a_preview_of_an_unknown_type_or_of_bad_settings_says_so() -> None:
    with pytest.raises(DriverNotFound, match="process"):
        preview("zeppelin", {}, pool="p")
    with pytest.raises(StartFailed, match="grace_seconds"):
        preview("process", {"grace_seconds": "soon"}, pool="p")
