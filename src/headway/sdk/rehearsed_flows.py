"""The flows of a rehearsal (see `warm_start`), in a file of their own because finding and loading one is part of it."""

from __future__ import annotations

from headway.sdk.flows import flow
from headway.sdk.tasks import task

__all__ = ["async_flow", "sync_flow"]


@task
def double(number: int) -> int:
    return 2 * number


@flow
def sync_flow(number: int = 1) -> int:
    return double(number) + int(double.submit(2).result())


@flow
async def async_flow() -> int:
    return int(double.submit(3).result())
