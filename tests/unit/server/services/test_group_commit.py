"""How batches form and fail, over a store that does what the test says."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from headway.core import states
from headway.core.errors import Unavailable
from headway.core.ids import new_id
from headway.core.rules.commands import Command, Decision, Propose, Status
from headway.core.rules.facts import Terms
from headway.core.settings import ServerSettings
from headway.server.services.transitions import Transitions
from headway.testing.clock import FrozenClock


class ScriptedStore:
    """Remembers its batches; `fails` may raise for one, and the first batch waits for `gate`."""

    def __init__(self, fails: Callable[[Sequence[Command]], None] = lambda batch: None) -> None:
        self.batches: list[Sequence[Command]] = []
        self.gate = asyncio.Event()
        self._fails = fails

    async def execute(self, commands: Sequence[Command], now: datetime, terms: Terms) -> list[Any]:
        self.batches.append(commands)
        if len(self.batches) == 1:
            await self.gate.wait()
        self._fails(commands)
        return [Decision(Status.ACCEPT) for _ in commands]

    async def paused_input(self, run_id: Any) -> Any:
        raise NotImplementedError

    async def answer_input(self, run_id: Any, key: str, value: str, now: datetime) -> None:
        raise NotImplementedError


def proposal() -> Propose:
    return Propose(new_id(), states.Running())


def transitions(store: ScriptedStore) -> Transitions:
    return Transitions(store, FrozenClock(), ServerSettings())


@pytest.mark.anyio
async def test_a_batch_is_what_arrived_while_the_previous_commit_was_in_flight() -> None:
    store = ScriptedStore()
    service = transitions(store)
    first = asyncio.create_task(service.submit(proposal()))
    while not store.batches:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(service.submit(proposal())) for _ in range(4)]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *rest)
    assert [len(batch) for batch in store.batches] == [1, 4]


@pytest.mark.anyio
async def test_a_batch_that_fails_is_halved_until_only_the_guilty_command_fails() -> None:
    guilty = proposal()

    def refuse(batch: Sequence[Command]) -> None:
        if guilty in batch:
            raise ValueError("bad statement")

    store = ScriptedStore(refuse)
    store.gate.set()
    service = transitions(store)
    commands = [proposal(), proposal(), guilty, proposal(), proposal()]
    outcomes = await asyncio.gather(*(service.submit(one) for one in commands), return_exceptions=True)
    assert [isinstance(outcome, Decision) for outcome in outcomes] == [True, True, False, True, True]


@pytest.mark.anyio
async def test_a_database_that_cannot_answer_is_said_to_everyone_in_the_batch_once() -> None:
    def refuse(batch: Sequence[Command]) -> None:
        raise Unavailable("the disk is busy")

    store = ScriptedStore(refuse)
    store.gate.set()
    service = transitions(store)
    outcomes = await asyncio.gather(*(service.submit(proposal()) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert len(store.batches) == 1


@pytest.mark.anyio
async def test_a_caller_that_went_away_does_not_stop_the_others() -> None:
    store = ScriptedStore()
    service = transitions(store)
    gone = asyncio.create_task(service.submit(proposal()))
    stays = asyncio.create_task(service.submit(proposal()))
    while not store.batches:
        await asyncio.sleep(0)
    gone.cancel()
    store.gate.set()
    assert (await stays).status == "ACCEPT"
    await service.close()
    await service.close()


def test_what_a_forked_or_another_loop_submits_does_not_wait_for_the_first_ones_drain() -> None:
    store = ScriptedStore()
    service = transitions(store)

    async def leave_behind() -> None:
        asyncio.create_task(service.submit(proposal()))  # noqa: RUF006 - its loop ends before it does
        while not store.batches:
            await asyncio.sleep(0)

    async def ask() -> Decision:
        return await asyncio.wait_for(service.submit(proposal()), 60)

    asyncio.run(leave_behind())
    assert asyncio.run(ask()).status == "ACCEPT"


@pytest.mark.anyio
async def test_many_commands_have_their_outcomes_in_order_and_refusals_among_them() -> None:
    store = ScriptedStore()
    store.gate.set()
    service = transitions(store)
    outcomes = await service.submit_all(proposal() for _ in range(130))
    assert len(outcomes) == 130
    assert len(store.batches) > 1  # the loop had its turn meanwhile
