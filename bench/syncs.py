"""What the kernel says: how often a server has a file put on the disk while it commits (by strace, if there is one)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

COMMITS = 10
_ATTACHED_SECONDS = 10.0


def per_commit(pid: int, commit: Callable[[int], object]) -> float | None:
    """fsync and fdatasync calls of a process per commit, counted over `COMMITS` calls of `commit`.

    None where strace is missing or may not look.
    """
    if shutil.which("strace") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as folder:
        log = Path(folder) / "calls"
        command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(log), "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            if "attached" not in strace.stderr.readline():
                strace.wait(_ATTACHED_SECONDS)
                return None
            for number in range(COMMITS):
                commit(number)
            strace.send_signal(signal.SIGINT)
        return len(re.findall(r"f(?:data)?sync\(", log.read_text())) / COMMITS
