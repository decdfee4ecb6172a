"""A small world of rows that every filter tells apart, for conformance tests of stores and servers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

__all__ = ["WORLD_START", "World", "build_world"]

Row = dict[str, Any]
WORLD_START = datetime(2026, 1, 1, tzinfo=UTC)
TAGS = ("red", "green", "blue", "with space", "x-1")
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
OPEN = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED")
TABLES = (
    "flow",
    "work_pool",
    "work_queue",
    "worker",
    "deployment",
    "flow_run",
    "flow_run_state",
    "task_run",
    "task_run_state",
    "log",
)
SIZE = 24
"""Rows per table at least."""


@dataclass
class World:
    """Rows by table name, in an order in which they can be inserted."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def __getitem__(self, table: str) -> list[Row]:
        return self.rows[table]


class Builder:
    """Makes the same world for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World()

    def new_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def time(self, index: int) -> datetime:
        return WORLD_START + timedelta(minutes=index * 7, seconds=self.random.randrange(60))

    def tags(self) -> list[str]:
        return self.random.sample(TAGS, self.random.choice((0, 1, 2, 3)))

    def maybe(self, value: Any) -> Any:
        return value if self.random.random() < 0.6 else None

    def pick(self, table: str) -> Row:
        return self.random.choice(self.world[table])

    def add(self, table: str, index: int, **values: Any) -> Row:
        row = {"id": self.new_id(), "created": self.time(index), "updated": self.time(index + 3), **values}
        self.world[table].append(row)
        return row

    def infrastructure(self) -> None:
        for index in range(SIZE):
            self.add("work_pool", index, name=f"pool-{index}", type=("process", "kubernetes")[index % 2])
            pool = self.pick("work_pool")
            self.add("work_queue", index, name=f"{('Line', 'queue')[index % 2]}-{index}", work_pool_id=pool["id"],
                     priority=index % 5)  # fmt: skip
        first = self.world["work_pool"][0]
        for index in range(SIZE):
            self.add("worker", index, name=f"worker-{index}", work_pool_id=first["id"], type="process",
                     status=("ONLINE", "OFFLINE")[index % 3 == 0], last_heartbeat_time=self.time(index),
                     heartbeat_interval_seconds=30)  # fmt: skip

    def definitions(self) -> None:
        for index in range(SIZE):
            self.add("flow", index, name=f"{('Load', 'sync_it', 'report')[index % 3]}-{index}", tags=self.tags())
        for index in range(SIZE):
            queue = self.pick("work_queue") if index % 4 else None
            owner = self.random.choice(self.world["flow"][: SIZE // 2])
            self.add("deployment", index, name=f"{('Nightly', 'hourly')[index % 2]}-{index}", flow_id=owner["id"],
                     tags=self.tags(), paused=index % 3 == 0, concurrency_limit=self.maybe(index % 6),
                     work_queue_id=queue and queue["id"], work_pool_id=queue and queue["work_pool_id"],
                     work_queue_name=queue and queue["name"])  # fmt: skip

    def flow_runs(self) -> None:
        for index in range(SIZE * 2):
            deployment = self.pick("deployment") if index % 3 else None
            owner = deployment["flow_id"] if deployment else self.pick("flow")["id"]
            parent = self.pick("task_run")["id"] if index > SIZE and index % 5 == 0 else None
            run = self.add("flow_run", index, name=f"{('Quick', 'lazy_fox')[index % 2]}-{index}", flow_id=owner,
                           deployment_id=deployment and deployment["id"], parent_task_run_id=parent,
                           work_pool_id=deployment and deployment["work_pool_id"],
                           work_queue_id=deployment and deployment["work_queue_id"],
                           work_queue_name=deployment and deployment["work_queue_name"],
                           tags=self.tags(), flow_version=self.maybe(f"v{index % 4}"),
                           idempotency_key=self.maybe(f"key-{index}"), created_by=self.creator(),
                           next_scheduled_start_time=self.maybe(self.time(index)), **self.course(index))  # fmt: skip
            self.state("flow_run", run)
            for part in range(index % 3):
                task = self.add("task_run", index, name=f"{('Fetch', 'store_all')[part]}-{index}", tags=self.tags(),
                                flow_run_id=run["id"] if index % 7 else None, task_key=f"task-{part}",
                                dynamic_key=str(index), **self.course(index + part))  # fmt: skip
                self.state("task_run", task)

    def creator(self) -> Row | None:
        kind = self.random.choice(("DEPLOYMENT", "AUTOMATION", "USER"))
        creator = {"id": str(self.new_id()), "type": kind, "display_value": kind.lower()}
        return creator if self.random.random() < 0.6 else None

    def course(self, index: int) -> Row:
        """A state and the times that go with it; final exactly if ended."""
        final = self.random.random() < 0.5
        state = self.random.choice(FINAL if final else OPEN)
        started = final or state == "RUNNING"
        return {
            "state_id": self.new_id(),
            "state_type": state,
            "state_name": state.capitalize() if index % 4 else "Late",
            "state_timestamp": self.time(index + 2),
            "expected_start_time": self.time(index),
            "start_time": self.time(index + 1) if started else None,
            "end_time": self.time(index + 2) if final else None,
        }

    def state(self, kind: str, run: Row) -> None:
        self.world[f"{kind}_state"].append(
            {
                "id": run["state_id"],
                f"{kind}_id": run["id"],
                "type": run["state_type"],
                "name": run["state_name"],
                "timestamp": run["state_timestamp"],
            }
        )

    def logs(self) -> None:
        words = ("Opened the file", "connection LOST", "100% of rows", "retrying soon")
        for index in range(SIZE * 2):
            self.add("log", index, name=f"headway.{('flow', 'task')[index % 2]}", level=(10, 20, 30, 40)[index % 4],
                     message=f"{self.random.choice(words)} {index}", timestamp=self.time(index),
                     flow_run_id=self.maybe(self.pick("flow_run")["id"]),
                     task_run_id=self.maybe(self.pick("task_run")["id"]))  # fmt: skip


def build_world(seed: int = 2) -> World:
    """24 rows or more per table, related at random, with gaps where columns may be null."""
    builder = Builder(seed)
    builder.infrastructure()
    builder.definitions()
    builder.flow_runs()
    builder.logs()
    return builder.world
