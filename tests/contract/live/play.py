"""Plays the scenario on both servers and collects the differences."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from live.servers import Answer, Server
from live.shapes import Gap, gaps
from live.steps import Step

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Played:
    """One step with the two answers it got and where they differ."""

    step: Step
    theirs: Answer
    ours: Answer

    @property
    def gaps(self) -> list[Gap]:
        if self.theirs.status != self.ours.status:
            return [Gap("status", f"{self.theirs.status} != {self.ours.status}")]
        return gaps(self.theirs.value, self.ours.value)


class Player:
    """One server with the names the scenario has given to ids so far."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.names: dict[str, Any] = {}

    def play(self, step: Step) -> Answer:
        deadline = time.monotonic() + PATIENCE_SECONDS
        path, body = self.filled(step.path), self.filled(step.body)
        answer = self.server.ask(step.method, path, body)
        while step.until and not step.until(answer.value) and time.monotonic() < deadline:
            time.sleep(0.2)
            answer = self.server.ask(step.method, path, body)
        for name, place in step.save.items():
            self.names[name] = dig(answer.value, place)
        return answer

    def filled(self, value: Any) -> Any:
        """`<name>` replaced by what was saved under it."""
        if isinstance(value, str):
            return re.sub(r"<(\w+)>", lambda match: str(self.names.get(match[1], match[0])), value)
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        return [self.filled(item) for item in value] if isinstance(value, list) else value


def dig(value: Any, place: str) -> Any:
    """The member at a dotted place such as `0.flow_run.id`; None if it is not there."""
    for step in place.split("."):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, TypeError, ValueError):
            return None
    return value


def play(steps: list[Step], reference: Server, headway: Server) -> list[Played]:
    """Every step, in order, on both."""
    theirs, ours = Player(reference), Player(headway)
    return [Played(step, theirs.play(step), ours.play(step)) for step in steps]
