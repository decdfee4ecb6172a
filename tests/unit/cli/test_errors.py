"""Whatever goes wrong is one line on stderr, a non-zero exit, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from headway.cli import running, server


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("work-pol",), "There is no command 'headway work-pol'. Did you mean 'work-pool'"),
        (("work-pool", "creat"), "Did you mean 'create'?"),
        (("work-pool", "create"), "Missing argument 'NAME'. Try: headway work-pool create --help"),
        (("work-pool", "create", "p"), "Missing option '--type'"),
        (("work-pool", "create", "p", "--tpe", "process"), "No such option '--tpe'"),
        (("work-pool", "create", "p", "-t", "x", "--concurrency-limit=-1"), "-1 is not in the range"),
        (("work-pool", "ls", "--output", "yaml"), "'yaml' is not one of 'text', 'json'"),
        (("work-queue", "create", "q", "--pool", "p", "--priority", "high"), "'high' is not a valid integer range"),
        (("flow-run", "ls", "--state", "runing"), "'runing' is not a state. Did you mean running"),
        (("config", "set", "server.port"), "the value is missing; write: headway config set SETTING VALUE"),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_help_is(cli, arguments, words) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert words in said.only_line


def test_a_group_alone_shows_its_help(cli) -> None:
    said = cli("work-pool")
    assert said.code == 0
    assert "create" in said.out


def test_an_interrupt_is_one_word_and_130(cli, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running.root, "invoke", interrupted)
    said = cli("work-pool", "ls")
    assert (said.code, said.only_line) == (130, "Interrupted.")


def test_an_unforeseen_error_is_one_line_too(cli, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a\nb")

    monkeypatch.setattr(running.root, "invoke", broken)
    said = cli("work-pool", "ls")
    assert said.code == 1
    assert said.only_line == "Error: KeyError: 'a\\nb'. HEADWAY_LOG_LEVEL=DEBUG shows where."


def test_a_reader_that_goes_away_is_no_error(cli, monkeypatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(running.root, "invoke", closed)
    monkeypatch.setattr(running.os, "dup2", lambda *_: 0)
    monkeypatch.setattr(running.sys.stdout, "fileno", lambda: 1, raising=False)
    assert cli("work-pool", "ls").code == 0


def test_a_wrong_setting_names_the_variable_the_value_and_what_is_allowed(cli, monkeypatch) -> None:
    monkeypatch.setenv("HEADWAY_SERVER_PORT", "http")
    line = cli("work-pool", "ls").only_line
    assert line.startswith("Error: HEADWAY_SERVER_PORT: 'http' is not allowed; it must be a whole number")


def test_no_server_at_the_url_says_how_to_start_one(cli, monkeypatch) -> None:
    monkeypatch.setenv("HEADWAY_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("HEADWAY_CLIENT_RETRIES", "0")
    line = cli("work-pool", "ls").only_line
    assert "http://127.0.0.1:1/api" in line
    assert "headway server start" in line


def test_a_corrupted_database_is_named_with_the_remedy(cli, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "headway.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    line = cli("work-pool", "ls").only_line
    assert "headway.db" in line
    assert "backup" in line


def test_no_server_running_is_said_by_status(cli) -> None:
    assert "No server runs on" in cli("server", "status").only_line


def test_a_database_url_is_shown_without_its_password() -> None:
    assert server._shown("postgresql://u:secret@h/db") == "postgresql://u:********@h/db"
    assert server._shown("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


def test_every_command_has_a_help_line_and_output(cli) -> None:
    def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        if not isinstance(command, click.Group):
            return [path]
        context = click.Context(command)
        found = []
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            found += leaves(child, (*path, name))
        return found

    for path in leaves(running.root, ()):
        said = cli(*path, "--help")
        assert said.code == 0
        assert "--output" in said.out, path
        assert len(said.out.splitlines()) > 3, path
