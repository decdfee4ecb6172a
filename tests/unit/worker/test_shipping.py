"""Output reaches the logs once, in order, however often it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

from headway.drivers.base import LogLine
from headway.testing.scripted_plane import ScriptedControlPlane
from headway.worker.memory import AttemptRecord
from headway.worker.shipping import BATCH_LINES, LogShipper, log_id

RUN = UUID(int=5)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record() -> AttemptRecord:
    return AttemptRecord(
        flow_run_id=RUN, attempt=1, token="t", name="n", grace_seconds=0, echo=False, handle=None, offsets={}
    )


async def output(count: int, stream: str = "stdout") -> AsyncIterator[LogLine]:
    for number in range(count):
        yield LogLine(stream, number * 2, number * 2 + 2, str(number % 10), NOW)


async def ship(plane: ScriptedControlPlane, kept: AttemptRecord, count: int, stream: str = "stdout") -> list[int]:
    saved: list[int] = []
    shipper = LogShipper(plane, kept, lambda: saved.append(kept.offsets[stream]), None)
    await shipper.run(output(count, stream))
    return saved


def test_lines_go_in_batches_and_the_place_is_saved_after_each() -> None:
    async def main() -> None:
        plane, kept = ScriptedControlPlane(), record()
        saved = await ship(plane, kept, BATCH_LINES + 1)
        assert len(plane.logs) == BATCH_LINES + 1
        assert plane.log_calls == 2
        assert saved == [BATCH_LINES * 2, BATCH_LINES * 2 + 2]

    asyncio.run(main())


def test_times_rise_line_by_line_so_that_their_order_is_the_order_of_output() -> None:
    async def main() -> None:
        plane = ScriptedControlPlane()
        await ship(plane, record(), 30)
        times = [log.timestamp for log in plane.logs.values()]
        assert times == sorted(set(times))

    asyncio.run(main())


def test_a_line_read_again_has_the_same_id_and_another_attempt_another() -> None:
    async def main() -> None:
        plane = ScriptedControlPlane()
        await ship(plane, record(), 10)
        await ship(plane, record(), 10)
        assert plane.log_calls == 2
        assert len(plane.logs) == 10

    asyncio.run(main())
    assert log_id(RUN, 1, "stdout", 0) != log_id(RUN, 2, "stdout", 0)
    assert log_id(RUN, 1, "stdout", 0) != log_id(RUN, 1, "stderr", 0)


def test_standard_error_is_a_warning_and_standard_output_is_information() -> None:
    async def main() -> None:
        plane = ScriptedControlPlane()
        await ship(plane, record(), 1, "stdout")
        await ship(plane, record(), 1, "stderr")
        assert [(log.name, log.level) for log in plane.logs.values()] == [
            ("headway.stdout", 20),
            ("headway.stderr", 30),
        ]

    asyncio.run(main())
