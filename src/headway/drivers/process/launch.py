"""Starts the shim of one attempt: blocking, called in a thread, idempotent by the attempt's lock."""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from headway.core.errors import StartFailed
from headway.drivers.process.attempts import AttemptDirectory, Started
from headway.drivers.process.identity import reap

__all__ = ["Plan", "Starter", "high_pipe", "launch", "read_reply", "spawn", "understand"]

SHIM = Path(__file__).with_name("shim.py")
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be started: the same whether shown or done."""

    command: Sequence[str]
    working_dir: str
    env: Mapping[str, str]

    def shown(self, env: Mapping[str, str]) -> str:
        lines = [f"Command: {shlex.join(self.command)}", f"Working directory: {self.working_dir}", "Environment:"]
        return "\n".join(lines + [f"  {name}={value}" for name, value in env.items()])


Starter: TypeAlias = Callable[[AttemptDirectory, Plan, int], Started]
"""Starts an attempt whose lock (a descriptor) the caller holds. Raises `StartFailed`."""


def launch(directory: AttemptDirectory, plan: Plan, start: Starter) -> Started:
    """Start the attempt, or find out who has. Raises `StartFailed`."""
    directory.create()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with directory.lock() as lock:
            started = directory.started()
            if started is not None:
                return started
            if lock is not None:
                (directory.path / "work").mkdir(exist_ok=True, mode=0o700)
                return start(directory, plan, lock)
        time.sleep(0.02)  # someone else is starting it right now
    raise StartFailed(f"Attempt in '{directory.path}' is being started by another worker that does not finish.")


def spawn(directory: AttemptDirectory, plan: Plan, lock: int) -> Started:
    """Start a shim, which starts the command."""
    said, say = high_pipe()
    try:
        pid = spawn_shim(directory, plan, lock, say)
    except (OSError, ValueError) as error:
        os.close(said)
        raise StartFailed(f"Process cannot be started: {error}.", isinstance(error, BlockingIOError)) from error
    finally:
        os.close(say)
    try:
        reply = read_reply(said)
    finally:
        os.close(said)
    return understand(directory, pid, reply)


def spawn_shim(directory: AttemptDirectory, plan: Plan, lock: int, say: int) -> int:
    log = str(directory.path / "shim.log")
    arguments = [sys.executable, "-I", "-S", str(SHIM), str(directory.path), plan.working_dir, "--", *plan.command]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, lock, 3),
        (os.POSIX_SPAWN_DUP2, say, 4),
    ]
    return os.posix_spawn(sys.executable, arguments, dict(plan.env), file_actions=actions, setsid=True)


def high_pipe() -> tuple[int, int]:
    """A pipe whose descriptors cannot collide with the 3 and 4 that the shim is given."""
    low = os.pipe()
    try:
        read_end, write_end = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low)
    finally:
        for fd in low:
            os.close(fd)
    return read_end, write_end


def read_reply(fd: int) -> bytes:
    """The one line the shim says, or b"" if it ended without a word or says nothing for too long."""
    deadline = time.monotonic() + START_SECONDS
    reply = b""
    while not reply.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
        piece = os.read(fd, 65536) if ready else b""
        if not piece:
            break
        reply += piece
    return reply


def understand(directory: AttemptDirectory, pid: int | None, reply: bytes) -> Started:
    """What a run's parent said; `pid` is the parent's if it is a child of ours. Raises `StartFailed`."""
    try:
        said = msgspec.json.decode(reply) if reply else {}
        if "error" not in said:
            return msgspec.convert(said, Started)
        reason, retryable = str(said["error"]), False
    except (msgspec.ValidationError, msgspec.DecodeError):
        reason, retryable = f"Process was not started: {shim_log(directory)}", True
    if pid is not None:
        os.waitpid(pid, 0) if not retryable else reap(pid)
    raise StartFailed(reason, retryable)


def shim_log(directory: AttemptDirectory) -> str:
    try:
        lines = (directory.path / "shim.log").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "its parent ended without a word."
