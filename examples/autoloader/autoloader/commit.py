"""One Parquet file enters one table, once: the commit loop is ours, pyiceberg's own is off.

Each round loads the table, looks for the identity in it, and only if it is not there tries one transaction with the
file and the columns it adds. A transaction succeeds only on the very version of the table that was looked at, so
nothing can slip in between the look and the commit. After a conflict, and after any outcome nobody knows, the next
round looks again.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table
from sqlalchemy.exc import DBAPIError

from autoloader.columns import ICEBERG
from autoloader.errors import AutoloaderError, CommitGaveUp
from autoloader.identity import Identity
from autoloader.lake import column_types, require_own_retries

ROUNDS = 30
LONGEST_WAIT = 2.0
"""Seconds."""


class PlanOutdated(AutoloaderError):
    """The table has got one of the file's columns since, with another type: convert the file again."""


def _nothing(_: Identity) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hooks:
    """Called around commits by those who watch, or who make two loaders meet; they may raise, nothing is half done."""

    before_commit: Callable[[Identity], None] = _nothing
    on_conflict: Callable[[Identity, str], None] = field(default=lambda identity, reason: None)


@dataclass(frozen=True, slots=True)
class Committed:
    """How a commit went. `already`: the identity was found in the table, by this loader's doing or another's."""

    already: bool
    conflicts: int


def commit_once(
    catalog: SqlCatalog,
    name: str,
    identity: Identity,
    parquet: Path,
    columns: Mapping[str, str],
    hooks: Hooks,
    present: Callable[[Table], bool],
) -> Committed:
    """Add the Parquet file to the table unless the identity is `present` in it.

    Raises:
        PlanOutdated: the table has another type for one of `columns` now.
        NotLoadable: `present` found that the path is taken by another content.
        LibraryRetriesOn: the table lets pyiceberg repeat commits.
        CommitGaveUp: 30 rounds met a conflict or an unknown outcome.
    """
    for conflicts in range(ROUNDS):
        table = catalog.load_table(name)
        require_own_retries(table)
        if present(table):
            return Committed(already=True, conflicts=conflicts)
        added = _added(table, columns)
        hooks.before_commit(identity)
        try:
            _commit(table, identity, parquet, added)
        except CommitFailedException as error:
            reason = f"conflict: {_one_line(error)}"
        except (CommitStateUnknownException, DBAPIError, OSError) as error:
            reason = f"unknown outcome: {_one_line(error)}"
        else:
            return Committed(already=False, conflicts=conflicts)
        hooks.on_conflict(identity, reason)
        time.sleep(random.uniform(0, min(LONGEST_WAIT, 0.05 * 2**conflicts)))
    raise CommitGaveUp(f"table {name}: {identity.path} was not added in {ROUNDS} rounds; last: {reason}")


def _commit(table: Table, identity: Identity, parquet: Path, added: Mapping[str, str]) -> None:
    properties = {"autoloader.path": identity.path, "autoloader.content-hash": identity.content_hash}
    with table.transaction() as transaction:
        if added:
            with transaction.update_schema() as schema:
                for column, kind in added.items():
                    schema.add_column((column,), ICEBERG[kind])
        transaction.add_files([parquet.as_uri()], snapshot_properties=properties)


def _added(table: Table, columns: Mapping[str, str]) -> dict[str, str]:
    there = column_types(table)
    for column, kind in columns.items():
        if there.get(column, kind) != kind:
            raise PlanOutdated(f"column '{column}' is {there[column]} in the table now, not {kind}")
    return {column: kind for column, kind in columns.items() if column not in there}


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
