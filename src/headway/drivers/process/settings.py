"""What can be set for a process: Prefect's names for a process pool, plus isolation and preloading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from headway.drivers.base import Configuration, described

__all__ = ["Process"]


@dataclass(frozen=True, kw_only=True)
class Process(Configuration):
    """A process on the worker's own machine."""

    type: ClassVar[str] = "process"

    stream_output: Annotated[bool, described("Also print the run's output on the worker's own output.")] = True
    working_dir: Annotated[
        str | None,
        described(
            "The folder the run starts in. Empty: the deployment's folder if it is on this machine, "
            "else one made for the attempt."
        ),
    ] = None
    isolation: Annotated[
        Literal["fork", "spawn", "inline"],
        described(
            "'fork': forked in milliseconds from a warm process that has loaded the engine (where the system cannot, "
            "like 'spawn'); 'spawn': a fresh interpreter; 'inline': a thread of the worker, for tiny trusted flows."
        ),
    ] = "fork"
    preload: Annotated[list[str], described("Modules that a warm template imports before it forks ('fork' only).")] = (
        field(default_factory=list)
    )
    preload_flow: Annotated[bool, described("Also import the flow's own module before forking ('fork' only).")] = False
