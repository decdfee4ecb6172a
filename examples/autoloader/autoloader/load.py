"""Loading: which files of a folder are waiting, and how one of them gets into the table exactly once.

The rejects of a file are committed before its rows, each under the file's identity. A crash in between leaves a file
that is still waiting; the next attempt finds the rejects there, leaves them, and brings the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from autoloader import lake
from autoloader.commit import Hooks, PlanOutdated, commit_once
from autoloader.convert import REJECT_COLUMNS, Converted, convert, plan, set_aside
from autoloader.errors import ChangedWhileRead, NotLoadable, SettingsError
from autoloader.identity import Identity, canonical, identify
from autoloader.lake import Target
from autoloader.source import Dialect


@dataclass(frozen=True, slots=True)
class Source:
    """Where files arrive and how they are written. `types` names the types of columns that must not be inferred."""

    folder: Path
    pattern: str = "*.csv*"
    dialect: Dialect = field(default_factory=Dialect)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file whose rows are not in the table, and its size on disk in bytes (compressed, if it is)."""

    path: Path
    size: int


class Status(StrEnum):
    LOADED = "loaded"
    ALREADY = "already there"
    SET_ASIDE = "set aside"
    CHANGING = "still being written"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    path: str
    status: Status
    rows: int = 0
    rejected: int = 0
    conflicts: int = 0
    added: tuple[str, ...] = ()
    reason: str = ""


def candidates(source: Source) -> list[Path]:
    """The folder's files that match, by name, without hidden ones.

    Raises:
        SettingsError: there is no such folder.
    """
    if not source.folder.is_dir():
        raise SettingsError(f"source folder {source.folder} does not exist; create it or correct the ingestion")
    found = source.folder.glob(source.pattern)
    return sorted(path for path in found if path.is_file() and not path.name.startswith((".", "_")))


def waiting(source: Source, target: Target) -> list[Waiting]:
    """The files whose rows are still to be loaded. Cheap: a file at a new path is not read."""
    table, rejects = lake.look(target)
    loaded, aside = lake.known(table), lake.set_aside(rejects)
    return [
        Waiting(path, path.stat().st_size)
        for path in candidates(source)
        if (name := canonical(path)) not in loaded and (name not in aside or not lake.holds(aside, identify(path)))
    ]


def load_file(path: Path, source: Source, target: Target, hooks: Hooks | None = None) -> Outcome:
    """Bring one file in, or set it aside, or leave it; safe to repeat and to run twice at once."""
    catalog = target.catalog()
    identity = identify(path)
    loaded = lake.known(lake.existing(catalog, target.table), identity.path)
    if lake.holds(loaded, identity):
        return Outcome(identity.path, Status.ALREADY)
    if lake.holds(lake.set_aside(lake.existing(catalog, target.rejects), identity.path), identity):
        return Outcome(identity.path, Status.ALREADY, reason="it was set aside before")
    hooks = hooks or Hooks()
    try:
        _require_new(loaded, identity)
        return _load(catalog, path, identity, source, target, hooks)
    except ChangedWhileRead as changing:
        return Outcome(identity.path, Status.CHANGING, reason=str(changing))
    except NotLoadable as reason:
        _set_aside(catalog, identity, str(reason), target, hooks)
        return Outcome(identity.path, Status.SET_ASIDE, reason=str(reason))


def _load(catalog: SqlCatalog, path: Path, identity: Identity, source: Source, target: Target, hooks: Hooks) -> Outcome:
    while True:
        table = lake.existing(catalog, target.table)
        types = lake.column_types(table) if table is not None else None
        layout = plan(path, source.dialect, types, source.types)
        folders = (target.folder(target.table), target.folder(target.rejects))
        converted = convert(path, identity, layout, source.dialect, folders)
        try:
            conflicts, already = _commit(catalog, identity, converted, layout.columns, target, hooks)
        except PlanOutdated:
            continue
        if already:
            return Outcome(identity.path, Status.ALREADY, conflicts=conflicts)
        if converted.data is None:
            reason = "no row of it could be loaded" if converted.rejected > 1 else "it has no rows"
            return Outcome(identity.path, Status.SET_ASIDE, 0, converted.rejected - 1, conflicts, (), reason)
        added = tuple(column for column in layout.columns if types is not None and column not in types)
        return Outcome(identity.path, Status.LOADED, converted.rows, converted.rejected, conflicts, added)


def _commit(
    catalog: SqlCatalog,
    identity: Identity,
    converted: Converted,
    columns: Mapping[str, str],
    target: Target,
    hooks: Hooks,
) -> tuple[int, bool]:
    conflicts, already = 0, False

    def rejects_in(table: Table) -> bool:
        return lake.holds(lake.known(table, identity.path), identity)

    def rows_in(table: Table) -> bool:
        found = lake.known(table, identity.path)
        if lake.holds(found, identity):
            return True
        _require_new(found, identity)
        return False

    if converted.rejects is not None:
        lake.ensured_rejects(catalog, target)
        own = _own(REJECT_COLUMNS)
        done = commit_once(catalog, target.rejects, identity, converted.rejects, own, hooks, rejects_in)
        conflicts, already = done.conflicts, done.already
    if converted.data is not None:
        lake.ensured(catalog, target, target.table, columns)
        done = commit_once(catalog, target.table, identity, converted.data, columns, hooks, rows_in)
        conflicts, already = conflicts + done.conflicts, done.already
    return conflicts, already


def _require_new(loaded: lake.Known, identity: Identity) -> None:
    if loaded.get(identity.path, set()) - {identity.content_hash}:
        raise NotLoadable("its content has changed since it was loaded; give new rows a new name")


def _set_aside(catalog: SqlCatalog, identity: Identity, reason: str, target: Target, hooks: Hooks) -> None:
    def verdict_in(table: Table) -> bool:
        return lake.holds(lake.set_aside(table, identity.path), identity)

    lake.ensured_rejects(catalog, target)
    parquet = set_aside(identity, reason, target.folder(target.rejects))
    commit_once(catalog, target.rejects, identity, parquet, _own(REJECT_COLUMNS), hooks, verdict_in)


def _own(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if not name.startswith("_source_")}
