"""Group commit without a timer (DESIGN §3): what arrives while a commit is in flight shares the next one.

A lone request never waits for company. A batch that fails on a statement is halved until only the guilty request
fails; one that is given up before its turn is left out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from headway.core.errors import HeadwayError, Unavailable

__all__ = ["Batches"]

Q = TypeVar("Q")
A = TypeVar("A")


class Batches(Generic[Q, A]):
    """`execute` answers many requests in one transaction, each with its answer or its error, in order."""

    def __init__(
        self, name: str, execute: Callable[[Sequence[Q]], Awaitable[Sequence[A | HeadwayError]]], most: int = 500
    ) -> None:
        self._name = name
        self._execute = execute
        self._most = most
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._drain: asyncio.Task[None] | None = None

    async def submit(self, request: Q) -> A:
        """Its answer, after the commit; raises what is wrong with it."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._commit_batches(), name=f"headway-{self._name}")
        return await answer

    async def _commit_batches(self) -> None:
        while self._waiting:
            size = min(len(self._waiting), self._most)
            batch = [self._waiting.popleft() for _ in range(size)]
            await self._commit([one for one in batch if not one[1].done()])

    async def _commit(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        outcomes: Sequence[A | BaseException]
        if not batch:
            return
        try:
            outcomes = await self._execute([request for request, _ in batch])
        except Unavailable as error:
            outcomes = [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._commit(batch[:middle])
                await self._commit(batch[middle:])
                return
            outcomes = [error]
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if answer.done():
                continue
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
