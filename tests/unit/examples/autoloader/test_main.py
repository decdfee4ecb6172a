"""`python -m autoloader`: what it makes, what it says, and one line on stderr for whatever goes wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from autoloader.__main__ import main

Flights = Callable[..., str]


@pytest.fixture
def settings(tmp_path: Path, lake, flights: Flights, monkeypatch: pytest.MonkeyPatch) -> str:
    """A settings file beside a folder with one file; the server is an embedded one."""
    monkeypatch.delenv("HEADWAY_API_URL", raising=False)
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
    lake.put("jan.csv", flights("1,UA,5", "1"))
    path = tmp_path / "autoloader.toml"
    path.write_text('warehouse = "lake"\n[[ingestion]]\nname = "flights"\nsource = "inbox"\ntable = "lake.flights"\n')
    return str(path)


def test_look_shows_what_would_happen_without_a_server(settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--settings", settings, "look", "flights"]) == 0
    out = capsys.readouterr().out
    assert "jan.csv (all of it): 1 rows, 1 would be rejected" in out
    assert "columns: month long, carrier string, delay long" in out
    assert "sample: 1, UA, 5" in out


def test_apply_then_trigger_preview_and_retry_say_where_the_run_waits(
    settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--settings", settings, "apply"]) == 0
    assert "deployment autoload/flights (no schedule) -> lake.flights" in capsys.readouterr().out
    for command in ("trigger", "preview"):
        assert main(["--settings", settings, command, "flights"]) == 0
        out = capsys.readouterr().out
        assert "waits in autoloader-process-pool/priority" in out
    assert main(["--settings", settings, "retry", out.split("(")[1].split(")")[0]]) == 0
    assert "waits in autoloader-process-pool/priority (retry: served first)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["trigger", "fligths"], "there is no ingestion 'fligths'; there are: flights"),
        (["trigger", "flights"], "there is no deployment autoload/flights yet; run `python -m autoloader apply` first"),
        (["retry", "00000000-0000-0000-0000-000000000000"], "not found"),
    ],
)
def test_what_is_wrong_is_one_line_on_stderr_and_exit_code_1(
    settings: str, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["--settings", settings, *arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("autoloader: ")
    assert complaint in err.lower() or complaint in err
    assert err.count("\n") == 1


def test_a_settings_file_that_is_not_there_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--settings", "/nowhere/a.toml", "apply"]) == 1
    assert capsys.readouterr().err == "autoloader: settings file /nowhere/a.toml: No such file or directory\n"


def test_a_server_that_cannot_be_reached_is_one_line_too(
    settings: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("HEADWAY_CLIENT_RETRIES", "0")
    assert main(["--settings", settings, "apply"]) == 1
    err = capsys.readouterr().err
    assert "127.0.0.1:9" in err
    assert err.count("\n") == 1


def test_the_settings_file_that_comes_with_the_example_is_a_good_one(capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[4] / "examples" / "autoloader" / "autoloader.toml"
    assert main(["--settings", str(example), "look", "nothing"]) == 1
    assert "there is no ingestion 'nothing'; there are: flights" in capsys.readouterr().err
