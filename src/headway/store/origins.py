"""What a run of a deployment is made from, as it can be kept between requests and checked in the batch.

An origin's `basis` is the raw row it was read from. A command that was prepared from an origin carries the
basis with it, and the batch compares it with the row as it is then (`read_bases`): whoever kept an origin too long
is told so, and no run is ever made from a deployment or pool as it no longer is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from headway.store.database import Database
from headway.store.hot import Hot, unjson
from headway.store.protocols import Origin

__all__ = ["OriginStore", "read_bases"]


class OriginStore:
    """`store.protocols.Origins` in SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def of_deployment(self, id: UUID) -> Origin | None:
        return await self.database.read(_read, id)


def read_bases(hot: Hot, ids: Iterable[UUID]) -> dict[UUID | None, tuple[Any, ...]]:
    """The raw rows of some deployments' origins, by deployment."""
    return {hot.codec.uuid(row[0]): row for row in hot.rows("origins", ids=hot.codec.ids(ids))}


def _read(connection: Connection, id: UUID) -> Origin | None:
    hot = Hot(connection)
    row = read_bases(hot, [id]).get(id)
    if row is None:
        return None
    (
        _, name, flow_id, version, pool_id, queue_id, queue_name, document_id, enforce, retries, retry_delay, on_crash,
        parameters, schema, tags, labels, job_variables, pool_name, template,
    ) = row  # fmt: skip
    uuid = hot.codec.uuid
    return Origin(
        basis=row,
        deployment={
            "id": id,
            "name": name,
            "flow_id": uuid(flow_id),
            "version": version,
            "work_pool_id": uuid(pool_id),
            "work_queue_id": uuid(queue_id),
            "work_queue_name": queue_name,
            "infrastructure_document_id": uuid(document_id),
            "enforce_parameter_schema": bool(enforce),
            "retries": retries,
            "retry_delay": retry_delay,
            "retry_on_crash": None if on_crash is None else bool(on_crash),
            "parameters": unjson(parameters),
            "parameter_openapi_schema": unjson(schema),
            "tags": unjson(tags),
            "labels": unjson(labels),
            "job_variables": unjson(job_variables),
            "work_pool_name": pool_name,
        },
        template=unjson(template),
    )
