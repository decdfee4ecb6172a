"""The program that warm runs are forked from: `python -m headway.drivers.process.template`, one thread, own session.

Descriptor 3 is a socket to the driver that started it. The first message is what to preload; each one after that
is a run to start, with the attempt's lock and a pipe for the answer attached. It ends when the driver's side is
closed, be it by the worker's death. Each run gets a parent of its own (see shim), so that neither the worker's nor
the template's death leaves a run without somebody to write down how it ended.

Before each fork it looks at itself: a thread, a connection or a variable that an import has left behind would be
every run's, so such a run is refused, with the reason, and the driver spawns it.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import json
import os
import signal
import site
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from headway.drivers.process import shim
from headway.drivers.process.newborn import Origin, be_born

__all__ = ["CONTROL", "main", "receive", "send"]

CONTROL = 3
HEADER = 4
LIBC = ctypes.PyDLL(None)
Seen = tuple[int, int, int, int]


# -- messages: four bytes of length, then JSON; descriptors travel with the first byte


def send(channel: socket.socket, message: Any, descriptors: tuple[int, ...] = ()) -> None:
    body = json.dumps(message).encode("utf-8", "surrogateescape")
    socket.send_fds(channel, [len(body).to_bytes(HEADER, "big")], list(descriptors))
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[Any, list[int]] | None:
    """A message and its descriptors; None when the other side is gone."""
    try:
        head, descriptors, _, _ = socket.recv_fds(channel, HEADER, 2)
        size = int.from_bytes(head + more(channel, HEADER - len(head)), "big") if head else 0
        body = more(channel, size) if head else b""
    except (ConnectionError, EOFError):
        return None
    return (json.loads(body.decode("utf-8", "surrogateescape")), descriptors) if head else None


def more(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# -- the template


@dataclass(slots=True)
class Template:
    """`refusal` is why it forks nothing at all; `sources` are the files whose change makes it out of date."""

    control: socket.socket
    origin: Origin
    main: str
    run: Callable[[], int] | None = None
    refusal: str | None = None
    sources: dict[str, Seen | None] = field(default_factory=dict)
    handlers: dict[int, Any] = field(default_factory=dict)

    def preload(self, recipe: dict[str, Any]) -> None:
        before = set(sys.modules)
        try:
            if recipe["working_dir"]:
                os.chdir(recipe["working_dir"])
            target = importlib.import_module(self.main)
            self.run = target.prepare(recipe["modules"], recipe["entrypoint"], recipe["roots"])
        except BaseException as error:  # also what a module raises to end its process
            self.refusal = f"preloading failed: {type(error).__name__}: {error}"
        self.handlers = self.origin.altered_handlers()
        self.sources = {path: seen(path) for path in sources(before, recipe["modules"])}
        os.chdir("/")
        gc.collect()
        gc.freeze()  # so that a collection in a run touches no page that it shares with the template

    def serve(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the parents of runs are not waited for
        while (received := receive(self.control)) is not None:
            request, (lock, reply) = received
            answer = self.answer()
            if answer is None and LIBC.fork() == 0:  # past Python's own: a parent needs none of what that renews
                be_parent(self, request, lock, reply)
            if answer is not None:
                shim.say(reply, json.dumps(answer))
            os.close(lock)
            os.close(reply)

    def answer(self) -> dict[str, str] | None:
        """Why not to fork, or None."""
        if any(seen(path) != was for path, was in self.sources.items()):
            return {"stale": "what it has loaded has changed"}
        reason = self.refusal or unfit(self.origin, self.control.fileno())
        return {"unfit": reason} if reason else None


def sources(before: set[str], preloaded: list[str]) -> Iterator[str]:
    """The files behind what was preloaded: all that are not installed, and what was named. Headway's own change
    with its installation, which needs a new worker anyway."""
    installed = (os.path.dirname(os.__file__), *site.getsitepackages())
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        ours = name in before or name.partition(".")[0] == "headway"
        if path and (name in preloaded or not (ours or str(path).startswith(installed))):
            yield str(path)


def seen(path: str) -> Seen | None:
    """What changes whenever a file does, even within one second and without its size."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def unfit(origin: Origin, control: int) -> str | None:
    """What this process has that a run must not inherit."""
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        return f"what it preloaded started {threads - 1} thread(s) ({', '.join(names) or 'of a native library'})"
    for name in os.listdir("/proc/self/fd"):
        if int(name) != control and connection(name):
            return "what it preloaded opened a connection"
    changed = sorted(name for name, _ in set(os.environ.items()) ^ set(origin.environ.items()))
    return f"what it preloaded changed the environment ({', '.join(dict.fromkeys(changed))})" if changed else None


def connection(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


# -- between the template and a run


def be_parent(template: Template, request: dict[str, Any], lock: int, reply: int) -> NoReturn:
    """The parent of one run, in a session of its own. What it forks is the run."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        directory, working_dir = request["directory"], request["working_dir"]
        lock, reply = descriptors(template.control, lock, reply)
        try:
            os.chdir(working_dir)
        except OSError as error:
            shim.say(reply, json.dumps({"error": shim.explain(error, [""], working_dir)}))
            os._exit(1)
        LIBC.prctl(shim.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        pid = os.fork()
        if pid == 0:
            assert template.run is not None
            own, umask = (lock, reply), template.origin.umask
            be_born(template.run, template.main, directory, request["env"], own, umask, template.handlers)
        shim.hear_no_signals()
        os.chdir("/")
        shim.supervise(directory, pid, orphans_are_ours=True)
    finally:
        os._exit(0)


def descriptors(control: socket.socket, lock: int, reply: int) -> tuple[int, int]:
    """Put the lock and the pipe where a shim has them; the template's socket is not for here."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (lock, reply)]
    control.close()
    for fd in (lock, reply):
        os.close(fd)
    for fd, place in zip(high, (shim.LOCK, shim.REPLY), strict=True):
        os.dup2(fd, place, inheritable=False)
        os.close(fd)
    return shim.LOCK, shim.REPLY


def main() -> None:
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder this was started in, which is nobody's
    os.closerange(CONTROL + 1, 1 << 20)  # what the worker's own parent left open
    control = socket.socket(fileno=CONTROL)
    received = receive(control)
    if received is None:
        return
    recipe, _ = received
    template = Template(control, Origin.now(), recipe["main"])
    template.preload(recipe)
    template.serve()


if __name__ == "__main__":
    main()
