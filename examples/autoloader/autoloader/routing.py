"""Where a load runs: decided at each trigger, from what is waiting then and from who asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autoloader.settings import Routing, readable


class Trigger(StrEnum):
    """Who asks for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    PREVIEW = "preview"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Place:
    """A pool and a queue of it, the job variables of a run there, and why it is the place."""

    pool: str
    queue: str
    job_variables: Mapping[str, Any]
    reason: str


def route(trigger: Trigger, waiting_bytes: int, routing: Routing) -> Place:
    """A person who waits goes first; otherwise the total compressed bytes decide, the threshold itself being small."""
    standard, large = routing.standard, routing.large
    if trigger is not Trigger.SCHEDULE:
        return Place(standard.name, routing.priority_queue, standard.job_variables, f"{trigger.value}: served first")
    size, threshold = readable(waiting_bytes), readable(routing.threshold_bytes)
    if waiting_bytes <= routing.threshold_bytes:
        return Place(standard.name, standard.queue, standard.job_variables, f"{size} <= {threshold}")
    return Place(large.name, large.queue, large.job_variables, f"{size} > {threshold}")
