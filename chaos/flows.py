"""The flow that chaos runs. Its process says what it does to a file that Headway does not know.

Every state it writes carries `attempt:pid:number` as its message and is acknowledged before it is noted, so the
history itself shows whose writes were accepted, and in which order.
"""

from __future__ import annotations

import json
import os
import threading
import time

from headway import flow, task
from headway.sdk.context import flow_context
from headway.sdk.proposals import to_wire
from headway.sdk.states import State
from headway.wire.states import StateType

BEAT_SECONDS = 0.2
WRITE_SECONDS = 0.5


def born(pid: int) -> int:
    """When a process started, in clock ticks since boot."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


class Witness:
    """Notes what this process does."""

    def __init__(self, path: str) -> None:
        context = flow_context()
        assert context is not None
        self.session, self.run = context.session, context.run
        self.attempt = int(dict(self.session.client.headers).get("Headway-Attempt") or 0)
        self.pid = os.getpid()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._over = threading.Event()

    def note(self, what: str, **facts: object) -> None:
        line = {"what": what, "time": time.time(), "run": str(self.run.id), "attempt": self.attempt, "pid": self.pid}
        os.write(self._fd, (json.dumps({**line, **facts}) + "\n").encode())

    def begin(self) -> None:
        self.note("start", born=born(self.pid), worker=os.environ.get("CHAOS_WORKER"))
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            self.note("beat")

    def end(self, how: str) -> None:
        self._over.set()
        self.note("end", how=how)

    def write(self, number: int) -> None:
        """One fenced state, noted once it is acknowledged."""
        said = f"{self.attempt}:{self.pid}:{number}"
        sent = time.time()
        body = to_wire(State(StateType.RUNNING, "Beat", said))
        try:
            answer = self.session.call(self.session.client.set_flow_run_state(self.run.id, body))
        except Exception as error:
            self.note("refused", number=number, sent=sent, why=f"{type(error).__name__}: {error}"[:200])
            return
        if answer.state is not None and answer.state.message == said:
            self.note("ack", number=number, sent=sent, state=str(answer.state.id))
        else:
            self.note("refused", number=number, sent=sent, why=str(answer.status))


@task
def double(number: int) -> int:
    return number * 2


@flow
def endure(marks: str, seconds: float, fails: bool = False) -> int:
    """Live for so many seconds, writing; then end well, or not."""
    witness = Witness(marks)
    witness.begin()
    how = "cut"
    try:
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            number += 1
            witness.write(number)
            time.sleep(min(WRITE_SECONDS, max(until - time.monotonic(), 0)))
        result = double(21)
        how = "failed" if fails else "ok"
    finally:
        witness.end(how)
    if fails:
        raise RuntimeError("it was asked to fail")
    return result
