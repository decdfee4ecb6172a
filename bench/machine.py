"""The machine and the checkout that figures come from."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from bench import processes

ROOT = Path(__file__).parent.parent


def describe() -> dict[str, Any]:
    """Processor, cores, memory in MB, kernel, file system of the checkout, load average and commit."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mb": int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
    }


class Others:
    """What everything else on the machine uses meanwhile: figures from a busy machine are not for the record."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._all, self._ours = _busy_seconds(), processes.cpu_seconds(os.getpid())

    def percent(self) -> float:
        """Per cent of the whole machine, since it was made."""
        ours = processes.cpu_seconds(os.getpid()) - self._ours
        seconds = (time.perf_counter() - self._begun) * (os.cpu_count() or 1)
        return max(0.0, 100 * (_busy_seconds() - self._all - ours) / seconds)


def _busy_seconds() -> float:
    user, nice, system = (int(field) for field in Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "0")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
