"""The tables: an Iceberg catalog in one SQLite file, and what the tables know about the files they were made from.

Two tables per ingestion target: ``flights`` has the rows, ``flights_rejects`` what was not loaded and why. Which files
are in is read from the data itself, from the identity columns, never from a list kept beside it.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import NestedField, StringType
from sqlalchemy.exc import OperationalError

from autoloader.columns import ICEBERG, IDENTITY_COLUMNS, SOURCE_HASH, SOURCE_PATH
from autoloader.convert import FILE, REJECT_COLUMNS
from autoloader.errors import LibraryRetriesOn, SettingsError
from autoloader.identity import Identity

LIBRARY_RETRIES: Final = "commit.retry.num-retries"
LIBRARY_RETRIES_DEFAULT: Final = "4"
PROPERTIES: Final = {
    LIBRARY_RETRIES: "0",
    # Whole bounds for the identity, so that a file's identity is read from the manifest and not from the file.
    f"write.metadata.metrics.column.{SOURCE_PATH}": "full",
    f"write.metadata.metrics.column.{SOURCE_HASH}": "full",
}
REJECTS_SUFFIX: Final = "_rejects"

Known = Mapping[str, set[str]]
"""Content hashes by path."""


@dataclass(frozen=True, slots=True)
class Target:
    """One table and its rejects, in the warehouse they live in."""

    warehouse: Path
    table: str

    def __post_init__(self) -> None:
        if self.table.count(".") != 1 or not all(self.table.split(".")):
            raise SettingsError(f"table '{self.table}' is not of the form namespace.table, like lake.flights")

    @property
    def rejects(self) -> str:
        return self.table + REJECTS_SUFFIX

    def folder(self, table: str) -> Path:
        """Where the table's Parquet files go."""
        namespace, name = table.split(".")
        return self.warehouse.resolve() / namespace / name / "data"

    def catalog(self) -> SqlCatalog:
        """Open the catalog, made at the first call; two processes may do so at once."""
        root = self.warehouse.resolve()
        root.mkdir(parents=True, exist_ok=True)
        properties = {"uri": f"sqlite:///{root / 'catalog.db'}?timeout=30", "warehouse": root.as_uri()}
        try:
            return SqlCatalog("autoloader", **properties)
        except OperationalError as error:
            if "already exists" not in str(error):  # the other process made its tables between our look and our making
                raise
            return SqlCatalog("autoloader", **properties)


def look(target: Target) -> tuple[Table | None, Table | None]:
    """The table and its rejects as they are now, None where there is none; makes nothing, not even a folder."""
    if not (target.warehouse / "catalog.db").exists():
        return None, None
    catalog = target.catalog()
    return existing(catalog, target.table), existing(catalog, target.rejects)


def existing(catalog: SqlCatalog, name: str) -> Table | None:
    """The table as it is now, or None."""
    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        return None


def ensured(catalog: SqlCatalog, target: Target, name: str, columns: Mapping[str, str]) -> Table:
    """The table as it is now, made with these columns if there is none."""
    if (table := existing(catalog, name)) is not None:
        return table
    with suppress(NamespaceAlreadyExistsError):
        _make_namespace(catalog, name.split(".")[0])
    fields = {**columns, **IDENTITY_COLUMNS}
    numbered = enumerate(fields.items(), 1)
    schema = Schema(*(NestedField(number, column, ICEBERG[kind], False) for number, (column, kind) in numbered))
    with suppress(TableAlreadyExistsError):
        catalog.create_table(name, schema, target.folder(name).parent.as_uri(), properties=PROPERTIES)
    return catalog.load_table(name)


def ensured_rejects(catalog: SqlCatalog, target: Target) -> Table:
    """The table of rejects, made if there is none."""
    return ensured(catalog, target, target.rejects, REJECT_COLUMNS)


def column_types(table: Table) -> dict[str, str]:
    """The table's own columns, without the identity's, by our names of types.

    Raises:
        SettingsError: a column has a type that the autoloader cannot fill.
    """
    names = {kind: name for name, kind in ICEBERG.items()}
    found = {field.name: field.field_type for field in table.schema().fields if field.name not in IDENTITY_COLUMNS}
    for column, kind in found.items():
        if kind not in names:
            raise SettingsError(
                f"column '{column}' of table {'.'.join(table.name())} is of type {kind}, which the autoloader"
                f" cannot fill; it fills {', '.join(ICEBERG)}"
            )
    return {column: names[kind] for column, kind in found.items()}


def require_own_retries(table: Table) -> None:
    """Refuse a table whose commits pyiceberg would repeat by itself, without looking for the identity in between.

    Raises:
        LibraryRetriesOn: the table's property is not 0.
    """
    value = table.metadata.properties.get(LIBRARY_RETRIES, LIBRARY_RETRIES_DEFAULT)
    if value != "0":
        raise LibraryRetriesOn(
            f"table {'.'.join(table.name())} has {LIBRARY_RETRIES} = {value}; the autoloader repeats commits itself and"
            f" needs 0: set the table's property {LIBRARY_RETRIES} to 0"
        )


def known(table: Table | None, path: str | None = None) -> Known:
    """The identities in the table, all of them or those of one path."""
    return _identities(table, _equal(SOURCE_PATH, path) if path is not None else AlwaysTrue())


def set_aside(rejects: Table | None, path: str | None = None) -> Known:
    """The identities of files that were set aside whole, all of them or those of one path."""
    whole = _equal("kind", FILE)
    found: defaultdict[str, set[str]] = defaultdict(set)
    if rejects is not None:
        condition = whole if path is None else And(whole, _equal(SOURCE_PATH, path))
        for row in rejects.scan(condition, selected_fields=(SOURCE_PATH, SOURCE_HASH)).to_arrow().to_pylist():
            found[row[SOURCE_PATH]].add(row[SOURCE_HASH])
    return found


def holds(known_identities: Known, identity: Identity) -> bool:
    return identity.content_hash in known_identities.get(identity.path, ())


def _equal(column: str, value: str) -> BooleanExpression:
    return EqualTo(column, value)  # type: ignore[call-arg, arg-type]  # a pydantic model with an __init__ of its own


def _identities(table: Table | None, condition: BooleanExpression) -> Known:
    found: defaultdict[str, set[str]] = defaultdict(set)
    if table is None:
        return found
    ids = tuple(table.schema().find_field(name).field_id for name in (SOURCE_PATH, SOURCE_HASH))
    scan = table.scan(condition, selected_fields=(SOURCE_PATH, SOURCE_HASH))
    for task in scan.plan_files():
        values = [_only_value(task.file, field_id) for field_id in ids]
        if None in values:  # somebody has merged data files: the manifest cannot say, the rows can
            return _read_identities(table, condition)
        path, content_hash = values
        found[str(path)].add(str(content_hash))
    return found


def _read_identities(table: Table, condition: BooleanExpression) -> Known:
    found: defaultdict[str, set[str]] = defaultdict(set)
    scan = table.scan(condition, selected_fields=(SOURCE_PATH, SOURCE_HASH))
    for batch in scan.to_arrow_batch_reader():
        for path, content_hash in _distinct(batch.to_pydict()):
            found[path].add(content_hash)
    return found


def _distinct(columns: Mapping[str, list[str]]) -> set[tuple[str, str]]:
    return set(zip(columns[SOURCE_PATH], columns[SOURCE_HASH], strict=True))


def _only_value(file: DataFile, field_id: int) -> str | None:
    lower, upper = (bounds.get(field_id) if bounds else None for bounds in (file.lower_bounds, file.upper_bounds))
    if lower is None or lower != upper:
        return None
    return from_bytes(StringType(), lower)


def _make_namespace(catalog: SqlCatalog, namespace: str) -> None:
    if not catalog.namespace_exists(namespace):
        catalog.create_namespace(namespace)
