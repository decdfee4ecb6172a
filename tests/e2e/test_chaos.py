"""A short round of chaos on each database, and five lies that the checker must not believe.

The lies are planted at the end of a real round: in the database behind the API, or among the processes. Then the
checker is asked again, the lie is taken back, and the next one is told.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, select, update

sys.path.insert(0, str(Path(__file__).parents[2]))

from chaos.api import Api
from chaos.checker import check
from chaos.evidence import Evidence
from chaos.plan import Plan, kinds_of
from chaos.processes import MARKER
from chaos.round import play
from chaos.story import Story

from headway.store.database import Database
from headway.store.tables import flow_run, flow_run_state, slot
from headway.testing.postgres import PostgresMissing, find_binaries

PATIENCE = 6.0
"""A machine that runs other tests beside this one is slow; what is proven is not how fast."""


def short(database: str, *only: str) -> Plan:
    kinds = only or tuple(kinds_of(database, root=False))
    size = {"quota": 1, "runs": 12, "lifecycles": 10, "at_once": 8, "workers": 2}
    return Plan(database=database, kinds=kinds, patience=PATIENCE, most_seconds=90.0, **size)


# --- the lies: each is planted for the length of its block ---


@dataclass
class Scene:
    """A round that has come to rest: its evidence, its database, and what was true in it."""

    evidence: Evidence
    story: Story
    database: Database

    async def change(self, *statements: Any) -> None:
        def work(connection: Any) -> None:
            for statement in statements:
                connection.execute(statement)

        await self.database.write(work)

    async def rows(self, table: Any, *where: Any) -> list[dict[str, Any]]:
        return await self.database.read(
            lambda connection: [dict(row) for row in connection.execute(select(table).where(*where)).mappings()]
        )


@asynccontextmanager
async def two_owners(scene: Scene) -> AsyncIterator[None]:
    """A write of the first attempt stands in the history after those of the second."""
    first, second = next(
        (a, b) for a, b in (lives[:2] for lives in scene.story.lives.values() if len(lives) > 1) if a.acks and b.acks
    )
    history = await scene.rows(flow_run_state, flow_run_state.c.flow_run_id == UUID(first.run))
    old = next(row for row in history if row["id"] == UUID(first.acks[0]["state"]))
    last = max(
        row["timestamp"] for row in history if row["message"] and row["message"].startswith(f"{second.attempt}:")
    )
    lie = {**old, "seq": None, "id": uuid4(), "timestamp": last + (history[-1]["timestamp"] - last) / 2}
    await scene.change(insert(flow_run_state).values(lie))
    yield
    await scene.change(delete(flow_run_state).where(flow_run_state.c.id == lie["id"]))


@asynccontextmanager
async def a_lost_write(scene: Scene) -> AsyncIterator[None]:
    """A state that a process was told is kept, is not."""
    life = next(life for lives in scene.story.lives.values() for life in lives if life.acks)
    gone = flow_run_state.c.id == UUID(life.acks[0]["state"])
    (row,) = await scene.rows(flow_run_state, gone)
    await scene.change(delete(flow_run_state).where(gone))
    yield
    await scene.change(insert(flow_run_state).values(row))


@asynccontextmanager
async def a_leaked_slot(scene: Scene) -> AsyncIterator[None]:
    """A run that has ended still holds its deployment's slot."""
    line = next(line for line in scene.story.accepted.values() if line.get("deployment") == "narrow")
    deployment = UUID(scene.evidence.named("deployments")["narrow"])
    row = {"limit_id": deployment, "flow_run_id": UUID(line["run"]), "kind": "deployment", "taken": datetime.now(UTC)}
    await scene.change(insert(slot).values(row))
    yield
    await scene.change(delete(slot).where(slot.c.flow_run_id == UUID(line["run"])))


@asynccontextmanager
async def an_orphan(scene: Scene) -> AsyncIterator[None]:
    """A process that a worker started lives on."""
    env = {**os.environ, MARKER: scene.evidence.marker(), "CHAOS_WORKER": "w0.1"}
    process = subprocess.Popen(["sleep", "60"], env=env, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def a_false_completed(scene: Scene) -> AsyncIterator[None]:
    """A run is COMPLETED though none of its processes ever came to a good end."""
    run = next(id for id, lives in scene.story.lives.items() if "ok" not in {life.how for life in lives})
    (before,) = await scene.rows(flow_run, flow_run.c.id == UUID(run))
    mine = flow_run.c.id == UUID(run)
    await scene.change(update(flow_run).where(mine).values(state_type="COMPLETED", state_name="Completed"))
    yield
    names = ("state_type", "state_name")
    await scene.change(update(flow_run).where(mine).values({name: before[name] for name in names}))


Lie = Callable[[Scene], AbstractAsyncContextManager[None]]
LIES: dict[str, Lie] = {
    "owners": two_owners,
    "lost": a_lost_write,
    "slots": a_leaked_slot,
    "orphan": an_orphan,
    "untrue": a_false_completed,
}


class Judgement:
    """The checker, asked once for the truth and once for each lie; `told` is what it said of each."""

    def __init__(self, lies: dict[str, Lie], url: str | None = None) -> None:
        self.lies = lies
        self.told: dict[str, set[str]] = {}

    async def __call__(self, evidence: Evidence, api: Api) -> Any:
        verdict = await check(evidence, api)
        if self.lies and not verdict[0]:
            scene = Scene(
                evidence, Story(evidence), Database(f"sqlite:///{evidence.folder / 'server-0' / 'headway.db'}")
            )
            try:
                for kind, lie in self.lies.items():
                    async with lie(scene):
                        self.told[kind] = {violation.kind for violation in (await check(evidence, api))[0]}
            finally:
                await scene.database.close()
        assert not (await check(evidence, api))[0] or verdict[0], "a lie was not taken back"
        return verdict


@pytest.fixture(scope="module")
def sqlite_round(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Judgement]:
    judgement = Judgement(LIES)
    folder = tmp_path_factory.mktemp("chaos") / "round"
    return asyncio.run(play(short("sqlite"), folder, print, judgement)), judgement


def shown(report: dict[str, Any]) -> str:
    return "\n".join(f"{v['kind']} {v['run']} {v['text']}" for v in report["violations"])


@pytest.mark.timeout(400)
def test_on_sqlite_nothing_is_lost_owned_twice_leaked_or_left(
    sqlite_round: tuple[dict[str, Any], Judgement], record_property: Callable[[str, str], None]
) -> None:
    report, _ = sqlite_round
    assert not report["violations"], shown(report)
    assert report["faults_done"] == len(kinds_of("sqlite", root=False))
    assert report["accepted_runs"] >= 22
    record_property(
        "note", f"chaos on SQLite: {report['accepted_runs']} runs, {report['faults_done']} faults, no violation"
    )


@pytest.mark.timeout(400)
def test_on_postgresql_with_two_replicas_nothing_is_lost_owned_twice_leaked_or_left(
    tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    try:
        find_binaries()
    except PostgresMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(missing.message)
    report = asyncio.run(play(short("postgresql"), tmp_path / "round", print, Judgement({})))
    assert not report["violations"], shown(report)
    assert report["faults_done"] == len(kinds_of("postgresql", root=False))
    record_property("note", f"chaos on PostgreSQL: {report['accepted_runs']} runs, {report['faults_done']} faults")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", LIES)
def test_the_checker_catches_a_lie_of_each_kind(kind: str, sqlite_round: tuple[dict[str, Any], Judgement]) -> None:
    _, judgement = sqlite_round
    assert kind in judgement.told[kind], f"{LIES[kind].__doc__} The checker said {judgement.told[kind] or 'nothing'}."


@pytest.mark.timeout(400)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_full_disk_and_a_cut_network_cost_nothing_but_time(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--live", default=False):
        pytest.skip("a full disk and a cut network are tried with `make test-live`")
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a file system and a network of one's own need root")
    kinds = ("network-cut", "disk-full") if database == "sqlite" else ("network-cut",)
    report = asyncio.run(play(short(database, *kinds), tmp_path / "round", print, Judgement({})))
    assert not report["violations"], shown(report)
    assert report["faults_done"] == len(kinds)
