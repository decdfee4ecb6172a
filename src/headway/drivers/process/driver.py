"""Runs on the worker's own machine, each a process (or, inline, a thread) that survives its worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import msgspec

from headway.core.errors import DriverError
from headway.drivers.base import (
    ConfigurationType,
    DriverContext,
    Handle,
    Job,
    LogLine,
    Outcome,
    engine_arguments,
    mask_environment,
)
from headway.drivers.process.attempts import AttemptDirectory, Started, attempts_of_pool, locate_attempt
from headway.drivers.process.identity import family, kill, orphaned_sessions, reap, until_ended
from headway.drivers.process.inline import InlineRuns
from headway.drivers.process.launch import Plan, launch, spawn
from headway.drivers.process.settings import Process
from headway.drivers.process.tail import Tail
from headway.drivers.process.warm import Recipe, Templates

__all__ = ["ProcessDriver"]

STREAMS = ("stdout", "stderr")
CLAIM_FILE = "HEADWAY_CLAIM_FILE"
FORKS = sys.platform == "linux"
TAIL_SECONDS = 0.2
EXIT_FILE_SECONDS = 5.0
KILL_SECONDS = 5.0


class ProcessDriver:
    """See `headway.drivers.base` for the contract. A deployment's root is a folder on this machine."""

    type: ClassVar[str] = "process"
    description: ClassVar[str] = "Runs each flow run as a process on the worker's own machine."
    Configuration: ClassVar[ConfigurationType] = Process

    engine: ClassVar[str] = "headway.engine"
    """The module whose `prepare(entrypoint, roots)` gives what warm runs execute."""

    def __init__(self, context: DriverContext) -> None:
        self._context = context
        self._inline = InlineRuns()
        self._templates = Templates(self.engine)

    async def prepare(self) -> None:
        """Warm up for the runs to come, unless the pool says that they are started otherwise."""
        if FORKS and self._context.defaults.get("isolation", "fork") == "fork":
            env = inherited({"PYTHONUNBUFFERED": "1"})
            await asyncio.to_thread(self._templates.warm, Recipe.of(env))

    # -- starting

    def preview(self, job: Job) -> str:
        settings = configuration(job)
        plan = planned(job, "(a folder made for the attempt)", self.engine)
        isolation = "spawn" if settings.isolation == "fork" and not forks(job) else settings.isolation
        head = f"Isolation: {isolation}\n" if isolation != "spawn" else ""
        return head + plan.shown(mask_environment(job.env, job.secrets))

    async def start(self, job: Job) -> Handle:
        if configuration(job).isolation == "inline":
            return self._inline.start(job, inherited(job.env))
        directory = AttemptDirectory.of(self._context.home, job.pool, job.flow_run_id, job.attempt)
        if job.root and not Path(job.root).is_dir():
            job = replace(job, root=None)  # on another machine; the engine says which path it missed
        plan = planned(job, str(directory.path / "work"), self.engine)
        return directory.handle(await asyncio.to_thread(launch, directory, plan, partial(self._begin, job)))

    def _begin(self, job: Job, directory: AttemptDirectory, plan: Plan, lock: int) -> Started:
        """Fork it from a template if that is wanted and possible, else spawn it."""
        if job.facts is not None:
            plan = replace(plan, env={**plan.env, CLAIM_FILE: directory.keep_facts(job.facts)})
        started = self._templates.fork(recipe(job, plan), directory, plan, lock) if forks(job) else None
        return started or spawn(directory, plan, lock)

    # -- watching

    async def watch(self, handle: Handle) -> Outcome:
        if "inline" in handle.data:
            return await self._inline.watch(handle)
        directory, started = self._here(handle)
        if not started.this_boot:
            return directory_outcome(directory) or lost("The machine was restarted while the process ran.")
        await until_ended(started.process)
        outcome = await exit_outcome(directory, started)
        if outcome.reason == "lost":  # its parent is dead, which would have ended what the run leaves behind
            kill(family(started.pid, None), signal.SIGKILL)
        return outcome

    async def logs(self, handle: Handle, after: Mapping[str, int]) -> AsyncIterator[LogLine]:
        if "inline" in handle.data:
            return
        directory, started = self._here(handle)
        tails = [Tail(directory.path / stream, stream, after.get(stream, 0)) for stream in STREAMS]
        ended = asyncio.ensure_future(everybody_ended(started))
        try:
            while True:
                final = ended.done()
                read_any = False
                for tail in tails:
                    for line in tail.read(final):
                        read_any = True
                        yield line
                if not read_any:
                    if final:
                        return
                    await asyncio.wait([ended], timeout=TAIL_SECONDS)
        finally:
            ended.cancel()

    # -- stopping

    async def stop(self, handle: Handle, grace: float) -> None:
        if "inline" in handle.data:
            return await self._inline.stop(handle, grace)
        if not self.reaches(handle):
            return None
        _, started = self._here(handle)
        if not started.this_boot:
            return None
        if started.process.lives():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(started.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until_ended(started.process), grace)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kill_family(started), KILL_SECONDS)
        return None

    # -- finding

    async def locate(self, flow_run_id: UUID, attempt: int) -> Handle | None:
        inline = self._inline.locate(flow_run_id, attempt)
        if inline is not None:
            return inline
        directory = locate_attempt(self._context.home, flow_run_id, attempt)
        started = directory.started() if directory else None
        return directory.handle(started) if directory and started else None

    async def find(self, pool: str) -> list[Handle]:
        """Also what only left children behind: they are all that is left to stop."""
        found = self._inline.living()
        known = [(directory, directory.started()) for directory in attempts_of_pool(self._context.home, pool)]
        left_behind = orphaned_sessions() if known else set()
        for directory, started in known:
            if started and started.this_boot and (started.process.lives() or started.pid in left_behind):
                found.append(directory.handle(started))
        return found

    def reaches(self, handle: Handle) -> bool:
        if "inline" in handle.data:
            return self._inline.has(handle)
        here = handle.data.get("host") == socket.gethostname()
        return here and Path(handle.data.get("directory", "")).is_dir()

    # -- ending

    async def release(self, handle: Handle) -> None:
        if "inline" in handle.data:
            return self._inline.release(handle)
        if not self.reaches(handle):
            return None
        directory, started = self._here(handle)
        if started.this_boot:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until_ended(started.shim), KILL_SECONDS)
            reap(started.shim_pid)
        await asyncio.to_thread(directory.remove)
        return None

    async def close(self) -> None:
        """The templates end; what was forked from them goes on."""
        await asyncio.to_thread(self._templates.close)

    def _here(self, handle: Handle) -> tuple[AttemptDirectory, Started]:
        if not self.reaches(handle):
            raise DriverError(
                f"Process {handle.pid} cannot be reached from this worker: it runs on host "
                f"'{handle.data.get('host')}' in '{handle.data.get('directory')}'."
            )
        path = Path(handle.data["directory"])
        return AttemptDirectory(path, handle.flow_run_id, handle.attempt), msgspec.convert(handle.data, Started)


def configuration(job: Job) -> Process:
    if not isinstance(job.configuration, Process):
        raise DriverError(f"A process driver cannot start a job of type '{job.configuration.type}'.")
    return job.configuration


def forks(job: Job) -> bool:
    """Whether a warm template can start it: it has our engine and nothing else loaded."""
    settings = configuration(job)
    own = not job.command and not settings.command and settings.engine in (None, "headway")
    return FORKS and own and settings.isolation == "fork"


def recipe(job: Job, plan: Plan) -> Recipe:
    settings = configuration(job)
    modules = tuple(settings.preload)
    if not settings.preload_flow or job.entrypoint is None:
        return Recipe.of(plan.env, modules)
    roots = tuple(dict.fromkeys(str(Path(root).absolute()) for root in (plan.working_dir, job.root) if root))
    folder = settings.working_dir or job.root
    return Recipe.of(plan.env, modules, entrypoint=job.entrypoint, roots=roots, working_dir=folder)


def planned(job: Job, own_folder: str, engine: str) -> Plan:
    """The command, folder and environment of the run's process; `engine` is our own engine's module."""
    settings = configuration(job)
    command = job.command or (shlex.split(settings.command) if settings.command else ())
    arguments = engine_arguments(settings.engine) if settings.engine not in (None, "headway") else ("-m", engine)
    return Plan(
        command=command or (sys.executable, *arguments),
        working_dir=settings.working_dir or job.root or own_folder,
        env=inherited(job.env),
    )


def inherited(env: Mapping[str, str | None]) -> dict[str, str]:
    """The worker's environment with the run's on top; None removes."""
    return {name: value for name, value in {**os.environ, **env}.items() if value is not None}


def lost(message: str) -> Outcome:
    return Outcome(reason="lost", message=message)


async def everybody_ended(started: Started) -> None:
    """Wait for the run and its parent, who ends what the run left behind: nobody writes after that."""
    if started.this_boot:
        await until_ended(started.process)
        await until_ended(started.shim)


def directory_outcome(directory: AttemptDirectory) -> Outcome | None:
    ended = directory.exit()
    return ended.outcome() if ended else None


async def exit_outcome(directory: AttemptDirectory, started: Started) -> Outcome:
    """What the shim wrote; it does so within milliseconds of the end, unless it was killed itself."""
    deadline = asyncio.get_running_loop().time() + EXIT_FILE_SECONDS
    while True:
        shim_lived = started.shim.lives()
        outcome = directory_outcome(directory)
        if outcome is not None:
            return outcome
        if not shim_lived or asyncio.get_running_loop().time() > deadline:
            return lost("Process has ended; how is not known, because its parent was killed before it.")
        await asyncio.sleep(0.005)


async def kill_family(started: Started) -> None:
    """Kill what is left of a run until nothing is, also what left its session."""
    ancestor = started.shim_pid if started.shim.lives() else None
    while members := family(started.pid, ancestor):
        kill(members, signal.SIGKILL)
        await asyncio.sleep(0.01)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(started.pid, signal.SIGKILL)
    await until_ended(started.process)
    await until_ended(started.shim)
