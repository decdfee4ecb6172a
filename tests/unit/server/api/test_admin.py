"""What the server tells about itself: how durable its commits are."""

from __future__ import annotations

DURABLE = {
    "sqlite": {"journal_mode": "wal", "synchronous": "FULL"},
    "postgresql": {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
}


def test_states_are_committed_to_the_disk_before_they_are_answered(asker) -> None:
    record = asker.get("/admin/durability").body["record"]
    expected = DURABLE[record["database"]]
    assert {name: record[name] for name in expected} == expected
