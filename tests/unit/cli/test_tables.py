"""Lists and blocks for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headway.cli.tables import ago, block, cell, print_table

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_outside_a_terminal_columns_are_aligned_and_whole(capsys) -> None:
    print_table(("Name", "Type"), [("a" * 100, None), ("b", True)])
    assert capsys.readouterr().out.splitlines() == [f"{'Name':<100}  Type", f"{'a' * 100}  -", f"{'b':<100}  yes"]


def test_in_a_terminal_the_table_is_drawn(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    print_table(("Name",), [("pool-1",)])
    out = capsys.readouterr().out
    assert "pool-1" in out
    assert "┃" in out or "|" in out


def test_in_a_narrow_terminal_names_stay_whole_and_nothing_but_ids_is_cut(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    print_table(("Id", "Name", "Variable"), [("0" * 36, "crimson-starling", "HEADWAY_SERVER_LEASE_TTL_SECONDS")])
    out = capsys.readouterr().out
    assert "crimson-starling" in out
    assert out.count("…") == 1
    assert max(len(text) for text in out.splitlines() if text.startswith("│")) == 50


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago"), (-90, "in 1 min")],
)
def test_times_are_told_in_the_largest_unit_that_says_something(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_block_leaves_out_what_is_not_there() -> None:
    assert block(("a", 1), ("b", None), ("c", ["x", "y"])) == "a: 1\nc: x, y"
    assert cell(NOW) == "2026-01-15 12:00:00 UTC"
