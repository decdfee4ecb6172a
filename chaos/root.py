"""Faults that need root: a small file system that can be filled, and a network namespace that can be cut.

Both end with the round: the file system is unmounted, the namespace goes with its keeper. The island reaches the
control plane through a Unix socket between two relays, so nothing but loopback is ever used.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from chaos.site import Child, Site, WorkerSlot, relay

__all__ = ["Disk", "Island", "is_root"]

DISK_MEGABYTES = 96


def is_root() -> bool:
    return os.geteuid() == 0


class Disk:
    """A file system of its own for the database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.busy = asyncio.Lock()
        folder.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        with suppress(OSError), (self.folder / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * 65536)

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


class Island:
    """A worker on a machine whose network can be cut."""

    def __init__(self, site: Site) -> None:
        folder = site.folder / "island"
        folder.mkdir()
        self._sockets = tempfile.TemporaryDirectory(prefix="headway-")  # the path of a socket must be short
        socket = str(Path(self._sockets.name) / "relay")
        _, _, after = site.url.partition("//")
        self._outer, _ = relay(socket, [after.partition("/")[0]], folder / "outer.log")
        script = 'ip link set lo up && exec "$@"'
        prefix = ["unshare", "--net", "sh", "-c", script, "sh"]
        self._keeper, address = relay("127.0.0.1:0", [socket], folder / "inner.log", prefix)
        self._enter = ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net"]
        self.slot: WorkerSlot = site.add_worker(folder / "home", self._enter, f"http://{address}/api")

    def cut(self) -> None:
        subprocess.run([*self._enter, "ip", "link", "set", "lo", "down"], check=True)

    def heal(self) -> None:
        subprocess.run([*self._enter, "ip", "link", "set", "lo", "up"], check=True)

    def close(self) -> None:
        child: Child
        for child in (self._keeper, self._outer):
            child.stop()
        self._sockets.cleanup()
