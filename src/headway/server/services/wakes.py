"""Who waits for something to happen in a pool, and what makes it worth looking again (DESIGN §3, claim).

A wake is a hint: whoever is woken looks into the database. It is rung after the commit, never lost between a look
and the wait that follows it, and costs nothing where nobody waits. Sources: committed decisions (`heed`), changes of
pools, queues and deployments (`notify`), the next due time (`due_in`), and what other replicas did (`heard`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from headway.core.rules.commands import Decision
from headway.core.rules.facts import Facts

__all__ = ["Bell", "Wakes"]

Tell = Callable[[Collection[UUID]], None]


class Bell:
    """One listener of one pool. Made before looking, so that what happens during the look is not missed."""

    def __init__(self, wakes: Wakes, pool_id: UUID) -> None:
        self._wakes = wakes
        self._pool_id = pool_id
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def clear(self) -> None:
        """Forget what rang so far: the caller is about to look."""
        self._rung.clear()

    async def wait(self, timeout: float) -> bool:
        """True once rung since the last `clear`; False after `timeout` seconds or at the server's end."""
        if not self._rung.is_set() and timeout > 0 and not self._wakes.closed:
            try:
                async with asyncio.timeout(timeout):
                    await self._rung.wait()
            except TimeoutError:
                return False
        return self._rung.is_set() and not self._wakes.closed

    def __enter__(self) -> Self:
        self._wakes._bells.setdefault(self._pool_id, {})[self] = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        listening = self._wakes._bells.get(self._pool_id, {})
        listening.pop(self, None)
        if not listening:
            self._wakes._forget(self._pool_id)


class Wakes:
    """The bells of one server process. All methods are called on its event loop.

    `tell` is called with the pools that something happened in here, so that other replicas hear of it (NOTIFY).
    """

    def __init__(self, tell: Tell | None = None) -> None:
        self.tell = tell
        self.closed = False
        self._bells: dict[UUID, dict[Bell, None]] = {}  # in the order in which they came
        self._alarms: dict[UUID, asyncio.TimerHandle] = {}

    @property
    def waiting(self) -> int:
        """How many listen now."""
        return sum(len(bells) for bells in self._bells.values())

    @property
    def pools(self) -> list[UUID]:
        """The pools that somebody listens to."""
        return list(self._bells)

    def listen(self, pool_id: UUID) -> Bell:
        """A bell of the pool, for a `with` block."""
        return Bell(self, pool_id)

    async def wait(self, pool_id: UUID, timeout: float) -> bool:
        """Whether something happened in the pool within `timeout` seconds, for those who need not look before."""
        with self.listen(pool_id) as bell:
            return await bell.wait(timeout)

    def notify(self, pool_ids: Iterable[UUID]) -> None:
        """Something happened in these pools, here; it is committed."""
        pools = set(pool_ids)
        if pools and self.tell is not None:
            self.tell(pools)
        self.heard(pools)

    def heard(self, pool_ids: Iterable[UUID]) -> None:
        """Something happened in these pools, here or in another replica."""
        for pool_id in pool_ids:
            for bell in self._bells.get(pool_id, ()):
                bell.ring()

    def everyone(self) -> None:
        """Anything may have happened: the link to the other replicas was broken for a while."""
        self.heard(list(self._bells))

    def wake(self) -> None:
        """Something changed here that may concern any pool: a deployment, or what is planned of it."""
        self.notify(list(self._bells))

    def due_in(self, pool_id: UUID, seconds: float) -> None:
        """Ring when the next run falls due; the earliest time counts. Nothing to do where nobody listens."""
        if pool_id not in self._bells or self.closed:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(seconds, 0.0)
        known = self._alarms.get(pool_id)
        if known is not None:
            if known.when() <= at:
                return
            known.cancel()
        self._alarms[pool_id] = loop.call_at(at, self._alarm, pool_id)

    def _alarm(self, pool_id: UUID) -> None:
        self._alarms.pop(pool_id, None)
        self.heard([pool_id])

    def _forget(self, pool_id: UUID) -> None:
        self._bells.pop(pool_id, None)
        alarm = self._alarms.pop(pool_id, None)
        if alarm is not None:
            alarm.cancel()

    def heed(self, decisions: Iterable[Decision], now: datetime) -> None:
        """Ring for what committed decisions make possible: a run to claim, a slot to take, an order to stop."""
        pools: set[UUID] = set()
        for decision in decisions:
            self._look_at(decision, now, pools)
        if pools:
            self.notify(pools)

    def _look_at(self, decision: Decision, now: datetime, pools: set[UUID]) -> None:
        before, after = decision.before, decision.after
        if after is not None and (decision.written or decision.created is not None or before is not after):
            pool, due = after.run.work_pool_id, after.run.next_scheduled_start_time
            if pool is not None and _frees(before, after):
                pools.add(pool)
            elif pool is not None and _is_claimable(after):
                if due is None or due <= now or self.tell is not None:
                    pools.add(pool)
                else:
                    self.due_in(pool, (due - now).total_seconds())
            holder = after.live_attempt
            if holder is not None and holder.work_pool_id is not None and _must_stop(after):
                pools.add(holder.work_pool_id)
        for followup in decision.followups:
            self._look_at(followup, now, pools)

    def close(self) -> None:
        """The server ends: everybody who waits is answered now, and nobody waits any more."""
        self.closed = True
        self.everyone()


def _is_claimable(facts: Facts) -> bool:
    state = facts.run.state
    return state is not None and state.is_scheduled and not facts.run.policy.in_process and facts.live_attempt is None


def _frees(before: Facts | None, after: Facts) -> bool:
    if before is None:
        return False
    kept = {slot.limit_id for slot in after.slots}
    return any(slot.limit_id not in kept for slot in before.slots)


def _must_stop(facts: Facts) -> bool:
    state = facts.run.state
    return state is not None and (state.is_cancelling or state.is_cancelled or state.is_crashed)
