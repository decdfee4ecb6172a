"""`headway config …` and `headway version`."""

from __future__ import annotations

from headway.version import __version__


def test_every_setting_is_shown_with_where_it_comes_from(cli, monkeypatch) -> None:
    monkeypatch.setenv("HEADWAY_SERVER_PORT", "4300")
    assert cli("config", "set", "log_level", "DEBUG").code == 0
    rows = {row["name"]: row for row in cli("config", "view", "--output", "json").json}
    assert (rows["server.port"]["value"], rows["server.port"]["source"]) == (4300, "environment")
    assert (rows["log_level"]["value"], rows["log_level"]["source"]) == ("DEBUG", "profile")
    assert rows["server.host"]["source"] == "default"
    assert rows["server.loops.scheduler"]["variable"] == "HEADWAY_SERVER_LOOPS_SCHEDULER"


def test_what_is_set_is_kept_and_can_be_removed(cli) -> None:
    said = cli("config", "set", "server.port=4301")
    assert "Set server.port = 4301 in" in said.out
    shown = cli("config", "view", "--hide-defaults").out
    assert "server.port" in shown
    assert "server.host" not in shown
    cli("config", "unset", "server.port")
    assert "server.port" not in cli("config", "view", "--hide-defaults").out


def test_secrets_are_masked_unless_asked_for(cli) -> None:
    said = cli("config", "set", "api_key", "hunter2")
    assert "hunter2" not in said.out
    assert "hunter2" not in cli("config", "view").out
    assert "hunter2" in cli("config", "view", "--show-secrets").out


def test_an_unknown_setting_and_a_wrong_value_are_refused(cli) -> None:
    assert (
        "There is no setting 'server.prt'. Did you mean server.port"
        in cli("config", "set", "server.prt", "1").only_line
    )
    assert "HEADWAY_SERVER_PORT: 'x' is not allowed" in cli("config", "set", "server.port", "x").only_line


def test_a_variable_that_is_no_setting_is_warned_of_where_it_would_have_counted(cli, monkeypatch) -> None:
    monkeypatch.setenv("HEADWAY_SERVER_LOOPS_SCHEDULR", "off")
    monkeypatch.setenv("HEADWAY_FLOW_RUN_ID", "of no section, so not looked at")
    said = cli("config", "view")
    assert said.code == 0
    assert said.err.count("Warning:") == 1
    expected = "Warning: HEADWAY_SERVER_LOOPS_SCHEDULR is not a setting and changes nothing. "
    assert said.err.startswith(f"{expected}Did you mean 'HEADWAY_SERVER_LOOPS_SCHEDULER'")


def test_the_version_says_where_it_runs(cli) -> None:
    assert cli("--version").out == f"{__version__}\n"
    facts = cli("version", "--output", "json").json
    assert facts["version"] == __version__
    assert facts["api_url"] is None
    assert "inside this process" in cli("version").out
