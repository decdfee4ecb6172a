"""The files of a round: what happened according to everybody but Headway. JSON, one object a line, append-only.

plan.json      the plan and the run's marker
acks.jsonl     clients: what the API has acknowledged
faults.jsonl   the injector: what it did to whom and when, and when the control plane was not there
marks.jsonl    the runs' processes: start, beats, acknowledged writes, end
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos.plan import Plan

__all__ = ["Evidence", "Journal", "Line", "Tail"]

Line = dict[str, Any]


class Journal:
    """Appends lines; each is one write(2), so that many processes may share a file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, what: str, **facts: Any) -> Line:
        line = {"what": what, "time": time.time(), **facts}
        os.write(self._fd, (json.dumps(line) + "\n").encode())
        return line

    def close(self) -> None:
        os.close(self._fd)


class Tail:
    """Reads what has been added to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> Iterator[Line]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._offset += len(raw)
                yield json.loads(raw)


class Evidence:
    """The folder of one round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def marks(self) -> Path:
        return self.folder / "marks.jsonl"

    def journal(self, name: str) -> Journal:
        return Journal(self.folder / f"{name}.jsonl")

    def lines(self, name: str) -> list[Line]:
        return list(Tail(self.folder / f"{name}.jsonl").lines())

    def keep_plan(self, plan: Plan, marker: str, **more: Any) -> None:
        (self.folder / "plan.json").write_text(json.dumps({"plan": plan.to_json(), "marker": marker, **more}))

    def plan(self) -> Plan:
        return Plan.of(self._written()["plan"])

    def marker(self) -> str:
        return str(self._written()["marker"])

    def named(self, name: str) -> Any:
        """Something else that was kept with the plan."""
        return self._written()[name]

    def _written(self) -> dict[str, Any]:
        written: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        return written
