"""Records on their way: batched, kept while the server is away, given up one by one if refused."""

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from headway.client.portal import Portal
from headway.core.errors import FencedError, Invalid, LeaseLostError, ServerUnreachable, Unavailable
from headway.sdk import sender as module
from headway.sdk.sender import BatchSender
from headway.testing.waiting import eventually


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    opened = Portal("test")
    opened.start()
    yield opened
    opened.stop()


class Server:
    """Takes batches, or raises what it is told to."""

    def __init__(self) -> None:
        self.taken: list[list[int]] = []
        self.error: Exception | None = None
        self.refused: set[int] = set()
        self.asked = threading.Event()

    async def send(self, batch: list[int]) -> None:
        self.asked.set()
        if self.error is not None:
            raise self.error
        if self.refused & set(batch):
            raise Invalid("no")
        self.taken.append(batch)

    @property
    def items(self) -> list[int]:
        return [item for batch in self.taken for item in batch]


def sender(portal: Portal, server: Server, batch: int = 100, buffer: int = 1000) -> BatchSender[int]:
    return BatchSender("numbers", portal, server.send, batch=batch, buffer=buffer)


def test_records_go_in_order_and_in_batches(portal: Portal) -> None:
    server = Server()
    numbers = sender(portal, server, batch=10)
    for number in range(95):
        numbers.put(number)
    assert numbers.flush(10)
    assert server.items == list(range(95))
    assert all(len(batch) <= 10 for batch in server.taken)
    assert len(server.taken) < 95


def test_putting_from_many_threads_loses_nothing(portal: Portal) -> None:
    server = Server()
    numbers = sender(portal, server)
    threads = [
        threading.Thread(target=lambda n=n: [numbers.put(n * 100 + i) for i in range(100)])  # type: ignore[misc]
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers.flush(10)
    assert sorted(server.items) == list(range(500))


@pytest.mark.parametrize("error", [ServerUnreachable("nobody"), Unavailable("busy")])
def test_while_the_server_is_away_records_are_kept_and_a_warning_says_so_once(
    portal: Portal, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    server = Server()
    server.error = error
    numbers = sender(portal, server)
    with caplog.at_level(logging.WARNING, "headway.sdk"):
        for number in range(10):
            numbers.put(number)
        assert not numbers.flush(0.1)
        assert numbers.waiting == 10
        server.error = None
        assert numbers.flush(10)
    assert server.items == list(range(10))
    kept = [record for record in caplog.messages if "kept in memory" in record and "goes on" in record]
    assert len(kept) == 1
    assert any("is back" in message for message in caplog.messages)


def test_putting_never_waits_and_a_full_buffer_is_said(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.error = ServerUnreachable("nobody")
    numbers = sender(portal, server, buffer=5)
    with caplog.at_level(logging.WARNING, "headway.sdk"):
        for number in range(8):
            numbers.put(number)
    assert numbers.dropped == 3
    assert numbers.waiting == 5
    assert [message for message in caplog.messages if "buffer of 5 numbers is full" in message]
    server.error = None
    assert numbers.flush(10)
    assert server.items == [0, 1, 2, 3, 4]


def test_only_the_record_the_server_refuses_is_lost(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.refused = {13}
    numbers = sender(portal, server)
    with caplog.at_level(logging.WARNING, "headway.sdk"):
        for number in range(40):
            numbers.put(number)
        assert numbers.flush(10)
    assert sorted(server.items) == [number for number in range(40) if number != 13]
    assert [message for message in caplog.messages if "refuses one of the numbers" in message]


def test_records_of_a_run_that_is_somebody_elses_are_let_go(portal: Portal) -> None:
    server = Server()
    server.error = LeaseLostError("ended")
    numbers = sender(portal, server)
    numbers.put(1)
    assert numbers.flush(10)
    assert server.items == []


def test_once_another_process_has_the_attempt_nothing_is_sent_any_more(portal: Portal) -> None:
    server = Server()
    server.error = FencedError("fenced")
    numbers = sender(portal, server)
    numbers.put(1)
    assert numbers.flush(10)
    server.error = None
    numbers.put(2)
    assert numbers.flush(10)
    assert (server.items, numbers.waiting, numbers.dropped) == ([], 0, 0)


def test_large_records_go_in_small_batches_and_fill_the_buffer_sooner(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 10)
    monkeypatch.setattr(module, "MOST_BYTES", 20)
    server = Server()
    server.error = Unavailable("later")
    numbers = BatchSender("numbers", portal, server.send, batch=100, buffer=1000, weigh=lambda number: number)
    for _ in range(7):
        numbers.put(4)
    assert numbers.dropped == 1
    server.error = None
    assert numbers.flush(10)
    assert [len(batch) for batch in server.taken] == [2, 2, 2]


def test_after_a_flush_sending_goes_on(portal: Portal) -> None:
    server = Server()
    numbers = sender(portal, server)
    for number in range(3):
        numbers.put(number)
        assert numbers.flush(10)
    numbers.put(3)
    eventually(lambda: server.items == [0, 1, 2, 3], 60)


def test_closing_takes_nothing_more(portal: Portal) -> None:
    server = Server()
    numbers = sender(portal, server)
    numbers.close()
    numbers.put(1)
    assert numbers.waiting == 0
    asyncio.run(asyncio.sleep(0))
