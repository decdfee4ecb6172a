"""What a run's process starts: `python -m headway.engine` with the run's id in `HEADWAY_FLOW_RUN_ID`, or

    python -m headway.engine flow-run execute ID

Exit codes: 0 the run completed (or was paused, cancelled, or is scheduled again), 1 it failed, 2 wrong usage,
3 the run belongs to another process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from headway.core.errors import HeadwayError
from headway.sdk.engine_process import EngineProcess
from headway.sdk.entrypoints import load_flow
from headway.sdk.fresh_code import compare_by_content

if TYPE_CHECKING:
    from headway.sdk.warm_start import WarmStart

__all__ = ["main", "prepare", "run_inline"]

NEEDED_LATER = ("concurrent.futures.thread",)
"""What every run loads, but only once it needs it."""

USAGE = "usage: python -m headway.engine [flow-run execute ID]   (without ID: HEADWAY_FLOW_RUN_ID)"


def prepare(modules: Sequence[str] = (), entrypoint: str | None = None, roots: Sequence[str] = ()) -> Callable[[], int]:
    """What runs forked from this process are to execute; whatever they all need is loaded then, with `modules` and
    the flow that an entrypoint names."""
    compare_by_content()
    for name in (*NEEDED_LATER, *modules):
        import_module(name)
    for name in ("flow", "task"):
        getattr(import_module("headway"), name)  # loaded when asked for
    flow = load_flow(entrypoint, [Path(root) for root in roots]) if entrypoint else None
    return partial(main, [], import_module("headway.sdk.warm_start").WarmStart.now(flow))


def main(arguments: list[str] | None = None, warm: WarmStart | None = None) -> int:
    """Execute one flow run in this process; the exit code. `warm` is what was made ready before it was forked."""
    given = sys.argv[1:] if arguments is None else arguments
    compare_by_content()
    try:
        flow_run_id = _flow_run_id(given, os.environ)
        settings, flow = (warm.settings(), warm.flow) if warm else (None, None)
        return EngineProcess.of_this_process(flow_run_id, flow, settings).execute()
    except HeadwayError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def run_inline(env: Mapping[str, str]) -> int:
    """Execute the flow run that `env` names in a thread of this process (isolation `inline`)."""
    return EngineProcess.inline(_flow_run_id([], env), env).execute()


def _flow_run_id(given: list[str], environ: Mapping[str, str]) -> UUID:
    if given and (given[:2] != ["flow-run", "execute"] or len(given) != 3):
        raise HeadwayError(USAGE)
    text = given[2] if given else environ.get("HEADWAY_FLOW_RUN_ID") or environ.get("PREFECT__FLOW_RUN_ID")
    if not text:
        raise HeadwayError(f"No flow run is named. {USAGE}")
    try:
        return UUID(text)
    except ValueError:
        raise HeadwayError(f"{text!r} is not the id of a flow run (a UUID). {USAGE}") from None


if __name__ == "__main__":
    sys.exit(main())
