"""Which processes of runs are alive right now, by what they note: the injector's targets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from chaos.evidence import Evidence, Tail
from chaos.processes import lives

__all__ = ["Live", "Target"]


@dataclass(slots=True)
class Target:
    """A run's process that has begun and not ended."""

    run: str
    attempt: int
    pid: int
    born: int
    worker: str
    acks: int = 0
    acked: float = 0.0

    @property
    def lives(self) -> bool:
        return lives(self.pid, self.born)


class Live:
    """Follows the marks."""

    def __init__(self, evidence: Evidence) -> None:
        self._tail = Tail(evidence.marks)
        self._targets: dict[tuple[str, int], Target] = {}

    def look(self) -> list[Target]:
        """Who has begun, has had a write acknowledged, has not ended, and is there."""
        for line in self._tail.lines():
            key = (line["run"], line["pid"])
            if line["what"] == "start":
                self._targets[key] = Target(line["run"], line["attempt"], line["pid"], line["born"], line["worker"])
            elif line["what"] == "end":
                self._targets.pop(key, None)
            elif line["what"] == "ack" and key in self._targets:
                self._targets[key].acks += 1
                self._targets[key].acked = line["sent"]
        self._targets = {key: target for key, target in self._targets.items() if target.lives}
        return [target for target in self._targets.values() if target.acks]

    async def some(self, seconds: float = 30.0) -> list[Target]:
        """The same, waiting for the first one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            found = self.look()
            if found or loop.time() > deadline:
                return found
            await asyncio.sleep(0.05)
