"""Limits under two workers that race: never more at once than allowed, and everything gets its turn or its answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headway.client import SyncClient
from headway.testing.lifecycle import at_rest
from headway.testing.processes import Place
from headway.testing.project import Project
from headway.testing.waiting import eventually
from headway.wire.work_queues import WorkQueueCreate

BUSY = """
import time
from headway import flow

def ever_two(book: str) -> bool:
    level = 0
    for line in open(book).read().split():
        level += 1 if line.startswith("+") else -1
        if level == 2:
            return True
    return False

@flow
def busy(book: str, name: str, company: bool):
    for sign in "+-":
        with open(book, "a") as file:
            file.write(f"{sign}{name}\\n")
        if sign == "+":
            patience = time.monotonic() + 60
            while company and not ever_two(book) and time.monotonic() < patience:
                time.sleep(0.05)
            time.sleep(0.3)
"""
"""With `company` a run does not end before another has been at work beside it."""

INLINE = {"isolation": "inline"}


def most_at_once(book: Path) -> int:
    level = most = 0
    for line in book.read_text().split():
        level += 1 if line.startswith("+") else -1
        most = max(most, level)
    return most


@pytest.mark.parametrize("kind", ["pool", "queue", "deployment", "deployment, cancelling new ones"])
def test_a_limit_holds_while_two_workers_race(
    site: Place, api: SyncClient, project: Project, tmp_path: Path, kind: str
) -> None:
    book = tmp_path / "book"
    pool = project.pool(concurrency_limit=2 if kind == "pool" else None)
    api.create_work_queue(pool, WorkQueueCreate(name="q", concurrency_limit=2 if kind == "queue" else None))
    fields: dict[str, Any] = {"concurrency_limit": 2} if kind.startswith("deployment") else {}
    if "cancelling" in kind:
        fields["concurrency_options"] = {"collision_strategy": "CANCEL_NEW"}
    deployment = project.deploy("busy", BUSY, pool, "q", job_variables=INLINE, **fields)
    given = {"book": str(book), "company": "cancelling" not in kind}
    runs = [project.start(deployment, parameters={**given, "name": f"n{i}"}) for i in range(8)]
    for name in ("one", "two"):
        site.worker(pool, "--name", name)
    ends = Counter(project.until(run, deadline=90).state_name for run in runs)
    assert most_at_once(book) <= 2
    if "cancelling" in kind:
        assert ends["Completed"] >= 2
        assert ends["Completed"] + ends["Cancelled"] == 8
        assert ends["Cancelled"] >= 1
    else:
        assert ends == {"Completed": 8}
        assert most_at_once(book) == 2
    eventually(lambda: at_rest(site), 15, "every slot to be free")
