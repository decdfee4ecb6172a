"""Facts that are remembered between batches are never anything but what the database says."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, update

from headway.core import states
from headway.core.ids import new_id
from headway.core.rules.commands import CreateRun, Decision, Propose
from headway.core.rules.facts import Run, Terms
from headway.store import facts
from headway.store.database import Database
from headway.store.hot import Hot
from headway.store.migrate import RECORD, migrate
from headway.store.presence import Presence
from headway.store.tables import flow, flow_run
from headway.store.transitions import decide_and_apply

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Store:
    def __init__(self, path: Path) -> None:
        self.path = path / "record.db"
        self.database = Database(f"sqlite:///{self.path}")
        with_presence = Presence(self.database.url)
        with_presence.enter()
        migrate(self.database, RECORD, with_presence)
        with_presence.leave()
        self.flow_id = new_id()
        row = {"id": self.flow_id, "created": NOW, "updated": NOW, "name": "f", "tags": [], "labels": {}}
        self.write(lambda connection: connection.execute(insert(flow).values(row)))

    def write(self, work: Any) -> Any:
        return asyncio.run(self.database.write(work))

    def decide(self, *commands: Any) -> list[Any]:
        return list(self.write(lambda connection: decide_and_apply(connection, commands, NOW, Terms())))

    def made(self) -> UUID:
        run = Run(new_id(), flow_id=self.flow_id)
        self.decide(CreateRun(run, states.Pending(), {"name": "r"}))
        return run.id

    def propose(self, id: UUID, state: states.State) -> Decision:
        [outcome] = self.decide(Propose(id, state))
        assert isinstance(outcome, Decision)
        return outcome


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    asyncio.run(made.database.close())


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements by which facts are read, from now on."""
    seen: list[str] = []
    rows = Hot.rows

    def counted(self: Hot, name: str, /, **parameters: Any) -> Any:
        seen.append(name)
        return rows(self, name, **parameters)

    monkeypatch.setattr(facts.Hot, "rows", counted)
    return seen


def test_a_run_that_nobody_touched_since_the_last_batch_is_not_read_again(store: Store, reads: list[str]) -> None:
    id = store.made()
    reads.clear()
    assert store.propose(id, states.Running()).status == "ACCEPT"
    assert reads == []
    done = store.propose(id, states.Completed())
    assert (done.status, reads) == ("ACCEPT", [])
    assert store.propose(id, states.Completed()).state is not None
    assert "runs" in reads  # what has ended is forgotten


def test_another_connections_write_is_seen(store: Store) -> None:
    id = store.made()
    other = sqlite3.connect(store.path)
    other.execute("UPDATE flow_run SET run_count = 7 WHERE id = ?", (id.hex,))
    other.commit()
    other.close()
    after = store.propose(id, states.Running()).after
    assert after is not None
    assert after.run.run_count == 8


def test_another_write_of_the_same_connection_is_seen(store: Store) -> None:
    id = store.made()
    store.write(lambda connection: connection.execute(update(flow_run).values(run_count=7)))
    after = store.propose(id, states.Running()).after
    assert after is not None
    assert after.run.run_count == 8


def test_a_write_after_the_decision_in_its_own_transaction_is_seen(store: Store) -> None:
    id = store.made()

    def decide_and_more(connection: Connection) -> None:
        decide_and_apply(connection, [Propose(id, states.Running())], NOW, Terms())
        connection.execute(update(flow_run).values(run_count=7))

    store.write(decide_and_more)
    after = store.propose(id, states.Running(name="Again")).after
    assert after is not None
    assert after.run.run_count == 8


def test_a_batch_that_was_rolled_back_is_forgotten_even_after_a_write_that_changes_nothing(store: Store) -> None:
    id = store.made()

    def decide_and_fail(connection: Connection) -> None:
        decide_and_apply(connection, [Propose(id, states.Running())], NOW, Terms())
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        store.write(decide_and_fail)
    store.write(lambda connection: None)
    decision = store.propose(id, states.Running())
    assert decision.before is not None
    assert decision.before.run.state is not None
    assert decision.before.run.state.is_pending
