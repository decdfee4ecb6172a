"""How many runs have ended, kept by the database itself, so that counting a million runs reads a few rows.

Triggers on `flow_run` append to `flow_run_tally` in the transaction that changes a run: +1 for the key a run has
then, -1 for the one it had. Nothing is updated in place, so writers never wait for each other here; `fold` adds
rows of the same key up. What is true at any moment is the sum. Runs that have not ended are rows of `live_run`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, delete, func, insert, select, true

from headway.store.database import Database
from headway.store.hot import Hot
from headway.store.tables import flow_run_tally

__all__ = ["TallyStore", "fold", "tally_ddl"]

_KEY = ("flow_id", "deployment_id", "work_pool_id", "work_queue_id", "state_type", "state_name")
_LIVE = "('SCHEDULED','PENDING','RUNNING','PAUSED','CANCELLING')"
_PAGE = 5_000
_WORTH_IT = 2_000
_COLUMNS = [flow_run_tally.c[name] for name in _KEY]


def tally_ddl(dialect: str) -> Iterator[str]:
    """The triggers, and what is there already, added up."""
    yield from _postgresql() if dialect == "postgresql" else _sqlite()
    names = ", ".join(_KEY)
    yield (
        f"INSERT INTO flow_run_tally ({names}, runs) SELECT {names}, count(*) FROM flow_run "
        f"WHERE {_ended('flow_run')} GROUP BY {names}"
    )


def _ended(run: str) -> str:
    return f"({run}.state_type IS NULL OR {run}.state_type NOT IN {_LIVE})"


def _append(run: str, runs: int) -> str:
    values = ", ".join(f"{run}.{name}" for name in _KEY)
    return f"INSERT INTO flow_run_tally ({', '.join(_KEY)}, runs) SELECT {values}, {runs} WHERE {_ended(run)}"


def _moved(differs: str) -> str:
    changed = " OR ".join(f"NEW.{name} {differs} OLD.{name}" for name in _KEY)
    return f"({_ended('NEW')} OR {_ended('OLD')}) AND ({changed})"


def _sqlite() -> Iterator[str]:
    new, old = _append("NEW", 1), _append("OLD", -1)
    yield f"CREATE TRIGGER flow_run_tally_added AFTER INSERT ON flow_run WHEN {_ended('NEW')} BEGIN {new}; END"
    yield f"CREATE TRIGGER flow_run_tally_removed AFTER DELETE ON flow_run WHEN {_ended('OLD')} BEGIN {old}; END"
    yield (
        f"CREATE TRIGGER flow_run_tally_moved AFTER UPDATE OF {', '.join(_KEY)} ON flow_run "
        f"WHEN {_moved('IS NOT')} BEGIN {old}; {new}; END"
    )


def _postgresql() -> Iterator[str]:
    # differs because a trigger's body is a function here.
    new, old = _append("NEW", 1), _append("OLD", -1)
    bodies = {"added": f"{new};", "removed": f"{old};", "moved": f"{old}; {new};"}
    whens = {
        "added": ("INSERT", _ended("NEW")),
        "removed": ("DELETE", _ended("OLD")),
        "moved": (f"UPDATE OF {', '.join(_KEY)}", _moved("IS DISTINCT FROM")),
    }
    for name, body in bodies.items():
        event, condition = whens[name]
        yield (
            f"CREATE FUNCTION flow_run_tally_{name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body} RETURN NULL; END $$"
        )
        yield (
            f"CREATE TRIGGER flow_run_tally_{name} AFTER {event} ON flow_run FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION flow_run_tally_{name}()"
        )


class TallyStore:
    """`store.protocols.Tallies` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def fold(self) -> bool:
        return await self.database.read(_page) > 0 and await self.database.write(fold)


def _page(connection: Connection) -> int:
    """How many of the oldest rows to add up; none unless there are many more rows than keys."""
    number = select(func.count())
    rows = connection.execute(number.select_from(flow_run_tally)).scalar_one()
    if rows <= _WORTH_IT:
        return 0
    distinct = connection.execute(number.select_from(select(*_COLUMNS).distinct().subquery())).scalar_one()
    return max(_PAGE, 2 * distinct) if rows > 2 * distinct + _WORTH_IT else 0


def fold(connection: Connection) -> bool:
    """Add up a page of the oldest changes if there are many; whether there were."""
    page = _page(connection)
    if not page:
        return False
    if connection.dialect.name == "postgresql":
        Hot(connection).rows("fold_tally", page=page)
        return True
    # differs because SQLite cannot insert what it deletes, and has one writer anyway.
    seq, runs = flow_run_tally.c.seq, flow_run_tally.c.runs
    last = connection.execute(select(seq).order_by(seq).offset(page - 1).limit(1)).scalar()
    oldest = true() if last is None else seq <= last
    newest = connection.execute(select(func.max(seq))).scalar_one()
    sums = select(*_COLUMNS, func.sum(runs)).where(oldest).group_by(*_COLUMNS).having(func.sum(runs) != 0)
    connection.execute(insert(flow_run_tally).from_select([*_KEY, "runs"], sums))
    connection.execute(delete(flow_run_tally).where(oldest, seq <= newest))
    return True
