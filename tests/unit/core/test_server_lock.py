"""One server per home, found by its URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.core.errors import HeadwayError
from headway.core.server_lock import HomeInUse, ServerLock, serving_url


def test_a_second_server_on_a_home_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    first, second = ServerLock(tmp_path), ServerLock(tmp_path)
    first.acquire()
    first.publish("http://127.0.0.1:1234/api")
    with pytest.raises(HomeInUse, match=r"already runs on .* at http://127\.0\.0\.1:1234/api"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_client_finds_the_url_only_while_the_server_holds_the_lock(tmp_path: Path) -> None:
    assert serving_url(tmp_path) is None
    lock = ServerLock(tmp_path)
    lock.acquire()
    assert serving_url(tmp_path) is None  # it does not listen yet
    lock.publish("http://127.0.0.1:1234/api")
    assert serving_url(tmp_path) == "http://127.0.0.1:1234/api"
    lock.release()
    lock.release()
    assert serving_url(tmp_path) is None


def test_a_file_left_behind_by_a_server_that_was_killed_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "server.lock").write_text("http://127.0.0.1:1234/api")
    assert serving_url(tmp_path) is None


def test_a_home_that_cannot_be_made_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadwayError, match="Set HEADWAY_HOME to a folder you can write to"):
        ServerLock(tmp_path / "file" / "home").acquire()
