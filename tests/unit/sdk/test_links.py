"""The connection that flow calls share: kept while it leads where the settings lead, lost with nothing in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.core.settings import Settings
from headway.sdk.links import Links


class Line:
    """Something that is still to be delivered."""

    is_done = False

    def deliver(self, timeout: float) -> None:
        assert timeout > 0
        self.is_done = True


@pytest.fixture
def links() -> Iterator[Links]:
    made = Links()
    yield made
    made.close()


def to(home: Path, port: int) -> Settings:
    return Settings(home=home, api_url=f"http://127.0.0.1:{port}/api")


def test_a_link_stays_open_for_the_next_call_with_the_same_settings(links: Links, tmp_path: Path) -> None:
    first = links.take(to(tmp_path, 1))
    first.open()
    links.give(first)
    again = links.take(to(tmp_path, 1))
    assert again is first
    assert again.is_open


def test_other_settings_lead_elsewhere_and_the_unused_link_is_closed(links: Links, tmp_path: Path) -> None:
    first = links.take(to(tmp_path, 1))
    first.open()
    links.give(first)
    other = links.take(to(tmp_path, 2))
    assert other is not first
    assert not first.is_open


def test_a_link_with_lines_to_deliver_outlives_the_change_and_delivers_them_at_the_end(
    links: Links, tmp_path: Path
) -> None:
    first = links.take(to(tmp_path, 1))
    first.open()
    line = Line()
    links.give(first, line)
    links.take(to(tmp_path, 2))
    assert first.is_open
    links.close()
    assert line.is_done
    assert not first.is_open


def test_the_server_in_this_process_is_opened_for_each_call(links: Links, tmp_path: Path) -> None:
    first, second = links.take(Settings(home=tmp_path)), links.take(Settings(home=tmp_path))
    assert first is not second
    assert not first.lasting


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_links_of_its_own(links: Links, tmp_path: Path) -> None:
    parents = links.take(to(tmp_path, 1))
    links.forget()  # what happens in the child
    assert links.take(to(tmp_path, 1)) is not parents
