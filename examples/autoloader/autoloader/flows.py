"""The flow: find what is waiting and load it, file by file. What must happen once is seen to by what it calls."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from autoloader.commit import Hooks
from autoloader.convert import sweep
from autoloader.identity import Identity
from autoloader.lake import Target
from autoloader.load import Outcome, Status, load_file, waiting
from autoloader.preview import as_lines, preview
from autoloader.routing import Trigger, route
from autoloader.service import DECIDE, PREVIEW, hand_over
from autoloader.settings import Ingestion, Routing, from_json, readable
from headway import flow, runtime, task
from headway.client.sync import SyncClient


@flow(name="autoload", log_prints=True)
def autoload(
    ingestion: dict[str, Any],
    routing: dict[str, Any],
    warehouse: str,
    mode: Literal["decide", "load", "preview"] = "decide",
) -> str:
    """Load what is waiting, here or, if it is much and the schedule made this run, in the large pool."""
    return ingest(from_json(ingestion, Ingestion), from_json(routing, Routing), Path(warehouse), mode)


@task(task_run_name="load {path.name}")
def load(path: Path, ingestion: Ingestion, target: Target, hooks: Hooks) -> Outcome:
    """One file."""
    outcome = load_file(path, ingestion.files(), target, hooks)
    print(told(outcome))
    return outcome


def ingest(
    ingestion: Ingestion,
    routing: Routing,
    warehouse: Path,
    mode: str,
    before_commit: Callable[[Identity], None] | None = None,
) -> str:
    """What the flow does; a flow of one's own may call it with something to do before each commit."""
    target = Target(warehouse, ingestion.table)
    if mode == PREVIEW:
        lines = as_lines(preview(ingestion.files(), target))
        print("\n".join(lines))
        return "\n".join(lines)
    for table in (target.table, target.rejects):
        sweep(target.folder(table))
    found = waiting(ingestion.files(), target)
    size = sum(file.size for file in found)
    print(f"{ingestion.name}: {len(found)} files waiting, {readable(size)}")
    if mode == DECIDE and (elsewhere := _elsewhere(size, routing)):
        return elsewhere
    hooks = Hooks(on_conflict=_say_conflict)
    if before_commit is not None:
        hooks = Hooks(before_commit, _say_conflict)
    outcomes = []
    for number, file in enumerate(found):
        if number:
            time.sleep(ingestion.rest_seconds)
        outcomes.append(load(file.path, ingestion, target, hooks))
    return _summary(outcomes)


def told(outcome: Outcome) -> str:
    """One line about one file."""
    name = Path(outcome.path).name
    if outcome.status is not Status.LOADED:
        return f"{name}: {outcome.status.value}" + (f": {outcome.reason}" if outcome.reason else "")
    extras = [
        *([f"{outcome.rejected} rejected"] if outcome.rejected else []),
        *([f"new columns: {', '.join(outcome.added)}"] if outcome.added else []),
        *([f"conflicts retried: {outcome.conflicts}"] if outcome.conflicts else []),
    ]
    return ", ".join([f"{name}: {outcome.rows:,} rows loaded", *extras])


def _elsewhere(size: int, routing: Routing) -> str | None:
    place = route(Trigger.SCHEDULE, size, routing)
    if place.pool == routing.standard.name and place.queue == routing.standard.queue:
        return None
    with SyncClient() as client:
        run = hand_over(client, UUID(str(runtime.flow_run.id)), place)
    where = f"{place.pool}/{place.queue}"
    said = f"handed over to {where} as {run.name} ({place.reason})" if run else f"{where} is at it already"
    print(said)
    return said


def _say_conflict(identity: Identity, reason: str) -> None:
    print(f"{Path(identity.path).name}: commit not done, {reason}; looking for the file again")


def _summary(outcomes: list[Outcome]) -> str:
    loaded = [outcome for outcome in outcomes if outcome.status is Status.LOADED]
    return f"{len(loaded)} of {len(outcomes)} files loaded, {sum(outcome.rows for outcome in loaded):,} rows"
