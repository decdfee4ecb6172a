"""The driver's side of templates: starts them, asks them for runs, replaces those that have died or are out of date.

Blocking, called in threads. A template belongs to a recipe: what it preloads, and what of the environment a
process takes in only when it starts. Nearly always there is one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import msgspec

from headway.drivers.process.attempts import AttemptDirectory, Started
from headway.drivers.process.launch import Plan, high_pipe, read_reply, understand
from headway.drivers.process.template import CONTROL, send

__all__ = ["Recipe", "Templates"]

MOST_TEMPLATES = 4
RETRY_SECONDS = 300.0
END_SECONDS = 2.0
READ_AT_START = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "OPENSSL_", "SSL_CERT_", "AIOHTTP_")
"""Beginnings of the variables that a process, or a library when it is loaded, reads once."""
IDENTITY = frozenset(
    {
        "HEADWAY_FLOW_RUN_ID",
        "PREFECT__FLOW_RUN_ID",
        "HEADWAY_ATTEMPT",
        "HEADWAY_ATTEMPT_TOKEN",
        "HEADWAY_CLAIM_FILE",
    }
)
"""Variables that are different for every run."""
logger = logging.getLogger("headway.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`variables` are part of the template's environment; with modules of the user's they are all of it."""

    modules: tuple[str, ...] = ()
    entrypoint: str | None = None
    roots: tuple[str, ...] = ()
    working_dir: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def is_plain(self) -> bool:
        return not self.modules and self.entrypoint is None

    @classmethod
    def of(cls, env: Mapping[str, str], modules: tuple[str, ...] = (), **flow: Any) -> Recipe:
        """`env` is a run's. Modules may read any of it while they are imported, except whose run it is."""
        recipe = cls(modules=modules, **flow)
        chosen = {
            name: value
            for name, value in env.items()
            if (name not in IDENTITY if not recipe.is_plain else name.startswith(READ_AT_START))
        }
        return cls(modules=modules, variables=tuple(sorted(chosen.items())), **flow)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(READ_AT_START)}
        return {**(kept if self.is_plain else {}), **dict(self.variables)}


class Template:
    """One template process. `log` is what it has written on its standard error."""

    def __init__(self, recipe: Recipe, main: str) -> None:
        self.used = time.monotonic()
        self.closed = False
        self._sending = threading.Lock()
        self._channel, theirs = socket.socketpair()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the template
        try:
            self.pid = spawn_template(recipe.environment(), theirs.fileno(), self._log.fileno())
        finally:
            theirs.close()
        message = {
            "main": main,
            "modules": recipe.modules,
            "entrypoint": recipe.entrypoint,
            "roots": recipe.roots,
            "working_dir": recipe.working_dir,
        }
        with contextlib.suppress(OSError):
            send(self._channel, message)

    def ask(self, request: dict[str, Any], lock: int) -> bytes:
        """The answer, from the template or from the parent of the run; empty if there was none."""
        self.used = time.monotonic()
        said, say = high_pipe()
        try:
            try:
                with self._sending:
                    send(self._channel, request, (lock, say))
            except OSError:
                return b""
            finally:
                os.close(say)
            return read_reply(said)
        finally:
            os.close(said)

    def lives(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

    def last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")

    def close(self) -> None:
        """It ends by itself; the runs forked from it go on."""
        self.closed = True
        self._channel.close()
        self._log.close()

    def kill(self) -> None:
        """End it at once: what it was asked and has not answered does not happen any more."""
        if self.lives():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()

    def wait(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        while self.lives():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return
            time.sleep(0.005)


def spawn_template(env: Mapping[str, str], control: int, log: int) -> int:
    high = os.dup(control), os.dup(log)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, high[1], 2),
        (os.POSIX_SPAWN_DUP2, high[0], CONTROL),
    ]
    command = [sys.executable, "-m", "headway.drivers.process.template"]
    try:
        return os.posix_spawn(sys.executable, command, dict(env), file_actions=actions, setsid=True)
    finally:
        for fd in high:
            os.close(fd)


class Templates:
    """The templates of one driver, by recipe; `main` is the module whose `prepare` gives what runs execute."""

    def __init__(self, main: str) -> None:
        self._main = main
        self._lock = threading.Lock()
        self._living: dict[Recipe, Template] = {}
        self._refused: dict[Recipe, float] = {}
        self._said: set[tuple[Recipe, str]] = set()
        self._closed = False

    def warm(self, recipe: Recipe) -> None:
        """Start the recipe's template ahead of its first run."""
        self._template(recipe)

    def fork(self, recipe: Recipe, directory: AttemptDirectory, plan: Plan, lock: int) -> Started | None:
        """Start an attempt from a template; None if it is to be spawned. Raises `StartFailed`."""
        request = {"directory": str(directory.path), "working_dir": plan.working_dir, "env": dict(plan.env)}
        for _ in range(2):
            template = self._template(recipe)
            if template is None:
                return None
            reply = template.ask(request, lock)
            said = msgspec.json.decode(reply) if reply else {}
            if "unfit" in said:
                self._refuse(recipe, template, said["unfit"])
                return None
            if said and "stale" not in said:
                return understand(directory, None, reply)
            if not said:
                self._bury(template)
            self._discard(recipe, template)
            started = directory.started()  # the run's parent may have said it to the file alone
            if started is not None:
                return started
        return None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            templates = list(self._living.values())
            self._living.clear()
        for template in templates:
            template.close()
        for template in templates:
            template.wait()

    def _template(self, recipe: Recipe) -> Template | None:
        with self._lock:
            template = self._living.get(recipe)
            if template is not None and not template.lives():
                logger.warning("The template of warm runs has died (%s); it is replaced.", template.last_words())
                template.close()
                template = None
            if template is None:
                if self._closed or time.monotonic() < self._refused.get(recipe, 0.0):
                    return None
                self._make_room()
                template = self._living[recipe] = Template(recipe, self._main)
            return template

    def _make_room(self) -> None:
        while len(self._living) >= MOST_TEMPLATES:
            oldest = min(self._living, key=lambda recipe: self._living[recipe].used)
            self._living.pop(oldest).close()

    def _bury(self, template: Template) -> None:
        """No answer came: it is dead, or hangs in what it preloads and must not answer later."""
        with self._lock:
            if not template.closed:
                logger.warning("The template of warm runs has died (%s); it is replaced.", template.last_words())
                template.kill()

    def _discard(self, recipe: Recipe, template: Template) -> None:
        with self._lock:
            if self._living.get(recipe) is template:
                del self._living[recipe]
            template.close()

    def _refuse(self, recipe: Recipe, template: Template, reason: str) -> None:
        self._discard(recipe, template)
        with self._lock:
            self._refused[recipe] = time.monotonic() + RETRY_SECONDS
            first = (recipe, reason) not in self._said
            self._said.add((recipe, reason))
        if first:
            logger.warning("Runs are spawned, not forked from a warm template: %s.", reason)
