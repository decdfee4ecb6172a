"""The parent of one run's process: outlives the worker and writes down how the run ended.

Run as a plain script (`python -I -S shim.py DIRECTORY WORKING_DIR -- COMMAND…`), so it imports a handful of
standard modules and nothing of Headway: it stands between the claim and the start of every spawned run. (A
forked run's parent is forked from the template, and does the same by `supervise`.)

What it is given: file descriptor 3 is the attempt's lock, held (never closed here) until this process ends,
so "the lock is taken" means "the shim lives"; 4 is a pipe on which it says once how the start went; its
environment is the run's. What it leaves in DIRECTORY: `stdout` and `stderr` (written by the run itself),
`started.json`, and after the run `exit.json`, both written whole or not at all.
"""

from __future__ import annotations

import os
import signal
import sys
import time

LOCK, REPLY = 3, 4
PR_SET_CHILD_SUBREAPER = 36
LEFTOVER_SECONDS = 0.5


def main(argv: list[str]) -> int:
    directory, working_dir, command = argv[1], argv[2], argv[4:]
    hear_no_signals()
    try:
        pid = start(directory, working_dir, command)
    except OSError as error:
        say(REPLY, f'{{"error": {text(explain(error, command, working_dir))}}}')
        return 1
    supervise(directory, pid)
    return 0


def supervise(directory: str, pid: int, orphans_are_ours: bool = False) -> None:
    """Say that the run has started, wait for its end, say how it ended, and end what it leaves behind."""
    started = (
        f'{{"pid": {pid}, "start_time": {start_time(pid)}, "shim_pid": {os.getpid()}, '
        f'"shim_start_time": {start_time(os.getpid())}, "boot_id": "{boot_id()}"}}'
    )
    write(directory, "started.json", started)
    say(REPLY, started)
    os.close(REPLY)
    if not orphans_are_ours:
        adopt_orphans()
    before = oom_kills()
    status, peak = wait(pid)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    oom = killed == signal.SIGKILL and oom_kills() > before
    ended = (
        f'{{"exit_code": {"null" if killed else os.WEXITSTATUS(status)}, "signal": {killed or "null"}, '
        f'"oom": {"true" if oom else "false"}, "peak_kib": {peak}, "time": {time.time():.6f}}}'
    )
    write(directory, "exit.json", ended)
    end_leftovers(pid)


def hear_no_signals() -> None:
    """A signal meant for the run must not end its parent. Handlers, not SIG_IGN: the run must not inherit it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)


def start(directory: str, working_dir: str, command: list[str]) -> int:
    """The run's process: a session of its own, output appended to files, standard input empty."""
    os.chdir(working_dir)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, directory + "/stdout", append, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, directory + "/stderr", append, 0o600),
        (os.POSIX_SPAWN_CLOSE, LOCK),
        (os.POSIX_SPAWN_CLOSE, REPLY),
    ]
    return os.posix_spawnp(command[0], command, os.environ, file_actions=actions, setsid=True)


def wait(pid: int) -> tuple[int, int]:
    """Reap until the run's own process has ended; its wait status and peak memory in KiB."""
    while True:
        ended, status, usage = os.wait4(-1, 0)
        if ended == pid:
            return status, usage.ru_maxrss


def adopt_orphans() -> None:
    """Become the parent of what the run leaves behind, so that a stop finds it (Linux only).

    After the start because loading ctypes takes longer than starting the run, which is not yet able to
    leave anything behind.
    """
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass


def end_leftovers(group: int) -> None:
    """A run's background processes end with it: asked first, killed after half a second."""
    deadline = time.monotonic() + LEFTOVER_SECONDS
    try:
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            reap()
            os.killpg(group, 0)
            time.sleep(0.02)
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 where /proc does not tell."""
    try:
        return int(content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def boot_id() -> str:
    """Which boot of the machine this is; empty where /proc does not tell."""
    try:
        return content("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return ""


def oom_kills() -> int:
    """How often the kernel has killed for lack of memory since boot; 0 where it does not tell."""
    try:
        found = content("/proc/vmstat").partition(b"\noom_kill ")[2]
    except OSError:
        return 0
    return int(found.split()[0]) if found else 0


def content(path: str) -> bytes:
    """A small file of /proc, by system calls alone: `open` is a hundred pages of memory in every run's parent."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def explain(error: OSError, command: list[str], working_dir: str) -> str:
    if error.filename == working_dir:
        return f"Working directory '{working_dir}' cannot be entered: {error.strerror}."
    return f"Command '{command[0]}' cannot be started: {error.strerror}."


def text(value: str) -> str:
    """A JSON string, by hand: the json module would double the time this script needs to start."""
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else " " for c in value) + '"'


def say(fd: int, message: str) -> None:
    try:  # noqa: SIM105 -- contextlib would have to be imported
        os.write(fd, message.encode("utf-8", "surrogateescape") + b"\n")
    except OSError:
        pass  # the worker that asked is gone; started.json tells the next one


def write(directory: str, name: str, content: str) -> None:
    """Write a file whole or not at all, safe against a power cut."""
    path = directory + "/" + name
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, content.encode() + b"\n")
    os.fsync(fd)
    os.close(fd)
    os.rename(path + ".new", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
