"""Getting a call accepted, however long the server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headway.core.errors import HeadwayError, Locked, ServerUnreachable, Unavailable, UnexpectedReply

__all__ = ["LONGEST_PAUSE", "is_transient", "until_accepted"]

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
T = TypeVar("T")
logger = logging.getLogger("headway.worker")


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: nobody answered, or the server is in trouble."""
    if isinstance(error, UnexpectedReply):
        return error.status >= 500
    return isinstance(error, ServerUnreachable | Unavailable | Locked)


async def until_accepted(call: Callable[[], Awaitable[T]], what: str) -> T | None:
    """Repeat until there is an answer. A refusal is logged and ends it with None: it would be refused again."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await call()
        except HeadwayError as error:
            if not is_transient(error):
                logger.warning("%s was refused: %s", what, error.message)
                return None
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
