"""What the store of every plain resource has in common: read one, page, count, delete.

Rows go in and come out as dictionaries keyed by column, which is the wire's field name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, and_, delete, insert, select, update

from headway.store.database import Database
from headway.store.filters import Filters, select_count, select_page

Row = dict[str, Any]


def one(connection: Connection, /, table: Table, **where: Any) -> Row | None:
    """The row whose columns equal `where`, or None."""
    found = rows(connection, select(table).where(_equal(table, where)).limit(1))
    return found[0] if found else None


def rows(connection: Connection, /, statement: Any) -> list[Row]:
    """All rows of a select, as dictionaries."""
    result = connection.execute(statement)
    names = [str(name) for name in result.keys()]  # noqa: SIM118 - SQLAlchemy's own are a subclass of str
    return [dict(zip(names, row, strict=True)) for row in result]


def add(connection: Connection, /, table: Table, values: Row | Sequence[Row]) -> None:
    """Insert one row or many; many are one statement."""
    if values:
        connection.execute(insert(table), values)


def change(connection: Connection, /, table: Table, values: Mapping[str, Any], **where: Any) -> int:
    """Set `values` where the columns equal `where`; returns how many rows that were."""
    return connection.execute(update(table).where(_equal(table, where)).values(dict(values))).rowcount


def drop(connection: Connection, /, table: Table, **where: Any) -> int:
    """Delete where the columns equal `where`; returns how many rows that were."""
    return connection.execute(delete(table).where(_equal(table, where))).rowcount


def _equal(table: Table, where: Mapping[str, Any]) -> Any:
    return and_(*(table.c[name] == value for name, value in where.items()))


class Records:
    """The store of one table: `store.protocols.Records`."""

    def __init__(self, database: Database, table: Table) -> None:
        self.database = database
        self.table = table

    async def get(self, id: UUID) -> Row | None:
        return await self.database.read(one, self.table, id=id)

    async def find(self, **where: Any) -> Row | None:
        return await self.database.read(one, self.table, **where)

    async def page(
        self, filters: Filters, *, sort: str | None = None, limit: int | None = 200, offset: int = 0
    ) -> list[Row]:
        statement = select_page(self.table, filters, sort=sort, limit=limit, offset=offset)
        return await self.database.read(rows, statement)

    async def count(self, filters: Filters) -> int:
        statement = select_count(self.table, filters)
        return await self.database.read(lambda connection: int(connection.execute(statement).scalar_one()))

    async def update(self, id: UUID, values: Mapping[str, Any]) -> bool:
        return bool(await self.database.write(change, self.table, values, id=id))

    async def delete(self, id: UUID) -> bool:
        return bool(await self.database.write(drop, self.table, id=id))
