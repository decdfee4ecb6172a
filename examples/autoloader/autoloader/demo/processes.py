"""What the demo starts, and the promise to stop all of it: by pid, in order, also after a failure or Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autoloader.errors import AutoloaderError

MARK: Final = "AUTOLOADER_DEMO_MARK"
START_SECONDS, STOP_SECONDS = 60.0, 15.0
HEADWAY: Final = (sys.executable, "-m", "headway.cli")


class Program:
    """One process of the demo; its output goes to a file."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops the others in order
            )

    def said(self, pattern: str) -> re.Match[str]:
        """Wait until its output has this.

        Raises:
            AutoloaderError: it ended, or a minute passed.
        """
        patience = time.monotonic() + START_SECONDS
        while time.monotonic() < patience:
            ended = self.process.poll() is not None
            text = self.log.read_text(errors="replace")
            if (found := re.search(pattern, text)) is not None:
                return found
            if ended:
                break
            time.sleep(0.05)
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        raise AutoloaderError(f"the {self.name} did not start; {self.log} ends with:\n{last}")

    def stop(self) -> None:
        """Ask twice (a worker's second signal stops its runs), then kill."""
        for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            if self.process.poll() is not None:
                return
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue


class Programs:
    """All processes of one demo. Leaving it stops them, the last started first."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWAY_", "PREFECT_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # ten interpreters start here; let the later ones load compiled code
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), kept.get("PYTHONPATH"))))
        self.env = {**kept, **env, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", MARK: self.mark}
        self.running: list[Program] = []
        self.handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def start(self, name: str, *arguments: str) -> Program:
        """Start `headway` with these arguments."""
        program = Program(name, [*HEADWAY, *arguments], self.env, self.folder)
        self.running.append(program)
        return program

    def stop(self) -> int:
        """Stop everything; returns how many processes were stopped. A second Ctrl-C does not stop the stopping."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        try:
            return self._stop()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handlers[number])

    def _stop(self) -> int:
        count = len(self.running)
        for worker in self.running[1:]:  # all at once; the server stays until they have said goodbye
            worker.process.terminate()
        while self.running:
            self.running.pop().stop()
        return count + self._stop_runs()

    def _stop_runs(self) -> int:
        """Runs outlive their workers on purpose. Those that are left carry our mark in their environment."""
        left = [pid for pid in _pids() if f"{MARK}={self.mark}".encode() in _environment(pid)]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return len(left)

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _pids() -> list[int]:
    proc = Path("/proc")
    own = os.getpid()
    return (
        [int(name) for path in proc.iterdir() if (name := path.name).isdigit() and int(name) != own]
        if proc.is_dir()
        else []
    )


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
