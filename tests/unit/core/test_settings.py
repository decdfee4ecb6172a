"""Settings: environment over profile file over defaults, and messages that name what is wrong."""

from pathlib import Path

import pytest

from headway.core.errors import SettingsError
from headway.core.profiles import describe_settings, load_settings, write_setting
from headway.core.settings import Settings, variables


def environment(home: Path, **values: str) -> dict[str, str]:
    return {"HEADWAY_HOME": str(home), **values}


def test_defaults_need_no_file_and_no_environment() -> None:
    settings = load_settings({})
    assert settings.home == Path.home() / ".headway"
    assert settings.api_url is None
    assert settings.server.port == 4200
    assert settings.server.lease.ttl_seconds == 20
    assert settings.database_url == f"sqlite:///{Path.home() / '.headway' / 'headway.db'}"


def test_environment_wins_over_profile_and_profile_over_default(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        'active = "a"\n[profiles.a]\napi_url = "http://one/api"\nserver.port = 1\nserver.loops.late = false\n'
    )
    settings = load_settings(environment(tmp_path, HEADWAY_SERVER_PORT="2", HEADWAY_SERVER_LOOPS_SCHEDULER="off"))
    assert settings.profile == "a"
    assert settings.api_url == "http://one/api"
    assert settings.server.port == 2
    assert settings.server.loops.late is False
    assert settings.server.loops.scheduler is False
    assert settings.server.loops.reaper is True


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("HEADWAY_SERVER_PORT", "http", "a whole number"),
        ("HEADWAY_SERVER_PORT", "70000", "from 0 to 65535"),
        ("HEADWAY_SERVER_LOOPS_SCHEDULER", "maybe", "on or off"),
        ("HEADWAY_SERVER_LEASE_TTL_SECONDS", "-1", "of at least 0.05"),
        ("HEADWAY_SERVER_LEASE_TTL_SECONDS", "nan", "a number"),
        ("HEADWAY_LOG_LEVEL", "LOUD", "one of DEBUG, INFO"),
        ("HEADWAY_API_URL", "127.0.0.1:4200", "a URL starting with http:// or https://"),
    ],
)
def test_a_wrong_value_names_the_variable_the_value_and_what_is_allowed(
    tmp_path: Path, variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environment(tmp_path, **{variable: value}))
    message = str(caught.value)
    assert variable in message
    assert repr(value) in message
    assert allowed in message


def test_a_wrong_value_in_the_file_names_the_file_and_the_setting(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text('[profiles.default]\nserver.port = "x"\n')
    with pytest.raises(SettingsError, match=r"profiles\.toml, profile 'default', server\.port: 'x'"):
        load_settings(environment(tmp_path))


def test_an_unknown_setting_in_the_file_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text("[profiles.default]\nserver.prot = 1\n")
    with pytest.raises(SettingsError, match=r"no setting 'server\.prot'.*server\.port"):
        load_settings(environment(tmp_path))


def test_a_file_that_is_not_toml_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text("[[[")
    with pytest.raises(SettingsError, match="not valid TOML") as caught:
        load_settings(environment(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_profile_that_does_not_exist_is_refused_when_asked_for_by_name(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text("[profiles.work]\n")
    with pytest.raises(SettingsError, match=r"no profile 'wrok'.*work"):
        load_settings(environment(tmp_path, HEADWAY_PROFILE="wrok"))


def test_secrets_are_neither_in_repr_nor_in_messages(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path, HEADWAY_API_KEY="hush-hush"))
    assert settings.api_key == "hush-hush"
    assert "hush-hush" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        load_settings(environment(tmp_path, HEADWAY_SERVER_DATABASE_URL="mysql://u:pw@h/d"))
    assert "pw" not in str(caught.value)


def test_a_written_setting_is_read_back_and_can_be_removed(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    write_setting("server.port", "4300", environ)
    write_setting("HEADWAY_API_URL", "http://h/api", environ)
    write_setting("server.loops.scheduler", "off", environ)
    settings = load_settings(environ)
    assert (settings.server.port, settings.api_url, settings.server.loops.scheduler) == (
        4300,
        "http://h/api",
        False,
    )
    write_setting("api_url", None, environ)
    assert load_settings(environ).api_url is None


def test_writing_a_wrong_value_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="HEADWAY_SERVER_PORT"):
        write_setting("server.port", "x", environment(tmp_path))
    assert not (tmp_path / "profiles.toml").exists()


def test_every_setting_is_described_with_its_source(tmp_path: Path) -> None:
    described = {d.name: d for d in describe_settings(environment(tmp_path, HEADWAY_SERVER_PORT="1"))}
    assert described["server.port"].source == "environment"
    assert described["home"].source == "environment"
    assert described["api_url"].source == "default"
    assert set(described) == {v.name for v in variables()}
    assert all(d.help for d in described.values())


def test_settings_can_be_made_in_code() -> None:
    assert Settings().server.page_limit == 200
