"""What is made ready once for many runs: the rehearsal, and settings that need not be read again."""

from __future__ import annotations

import builtins
import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from headway.core.profiles import load_settings, profiles_path
from headway.core.settings import Settings
from headway.sdk.warm_start import WarmStart, rehearse


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("HEADWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path))
    return tmp_path


def test_a_rehearsal_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = (list(sys.path), print, logging.getLogger().level, list(logging.getLogger().handlers))
    threads = set(threading.enumerate())
    assert rehearse(Settings(home=tmp_path)) == [0, 0]
    assert set(threading.enumerate()) <= threads
    assert (list(sys.path), builtins.print, logging.getLogger().level, logging.getLogger().handlers) == before
    assert "rehearsed_flows" not in sys.modules
    assert not list(tmp_path.iterdir())


def test_settings_are_not_read_again_where_only_the_way_to_the_server_differs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = WarmStart.now()
    monkeypatch.setenv("HEADWAY_API_URL", "http://there:1/api")
    monkeypatch.setenv("HEADWAY_API_KEY", "key")
    monkeypatch.setenv("HEADWAY_ATTEMPT_TOKEN", "one per run")
    settings = warm.settings()
    assert settings == load_settings()
    assert (settings.api_url, settings.api_key) == ("http://there:1/api", "key")
    assert warm.loaded is not None
    assert settings.server is warm.loaded.server


def test_another_variable_or_profile_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_API_URL", "http://there:1/api")
    warm = WarmStart.now()
    monkeypatch.setenv("HEADWAY_LOG_LEVEL", "DEBUG")
    assert warm.settings().log_level == "DEBUG"
    monkeypatch.delenv("HEADWAY_LOG_LEVEL")
    assert warm.settings().log_level == "INFO"
    profiles_path(home).write_text('[profiles.default]\nlog_level = "ERROR"\n')
    assert warm.settings().log_level == "ERROR"
    monkeypatch.delenv("HEADWAY_API_URL")
    assert warm.settings().api_url is None
