"""What a round is made of: leases, how many runs and faults, and the bounds that follow from DESIGN §3."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["DEFAULT_TTL", "KINDS", "Plan", "kinds_of"]

DEFAULT_TTL = 20.0
PROMISE_SECONDS = 30.0
"""DESIGN §3: truth within 30 s of a death or of the control plane's recovery, with leases of 20 s."""
EXIT_SECONDS = 5.0
"""DESIGN §3: an engine that is told 409 or 410 ends its own process group within 5 s. Not scaled."""

KINDS = {
    "run-kill": "kill -9 of a run's process",
    "worker-kill": "kill -9 of a worker",
    "both-kill": "kill -9 of a worker and everything it has started, at once",
    "server-kill": "kill -9 of the server, or of one of two replicas",
    "freeze": "SIGSTOP of a run, a worker, or both, for two leases",
    "server-freeze": "SIGSTOP of the server, or of one of two replicas, for two leases",
    "disk-limit": "the server's files cannot grow (RLIMIT_FSIZE)",
    "disk-full": "the file system of the database is full (root)",
    "network-cut": "a worker's network namespace is cut off for two leases (root)",
    "pg-crash": "PostgreSQL stops as by -m immediate, and starts again",
    "pg-terminate": "pg_terminate_backend of a connection inside a transaction",
}
_SQLITE_ONLY = frozenset({"disk-limit", "disk-full"})
_POSTGRES_ONLY = frozenset({"pg-crash", "pg-terminate"})
_ROOT = frozenset({"disk-full", "network-cut"})


def kinds_of(database: str, *, root: bool) -> list[str]:
    """The kinds of fault that a database has, with or without those that need root."""
    foreign = _POSTGRES_ONLY if database == "sqlite" else _SQLITE_ONLY
    without = frozenset({"disk-limit"}) if root else _ROOT
    return [kind for kind in KINDS if kind not in foreign | without]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seconds throughout. `patience` stretches the bounds for a machine that is busy with other things; it is in
    the report. `quota` is how many faults of each kind."""

    database: str
    seed: int = 1
    runs: int = 2000
    lifecycles: int = 1000
    quota: int = 20
    kinds: tuple[str, ...] = ()
    lease_ttl: float = 4.0
    workers: int = 3
    worker_limit: int = 6
    at_once: int = 24
    most_seconds: float = 1500.0
    patience: float = 1.0
    retries: int = 50

    @property
    def scale(self) -> float:
        return self.lease_ttl / DEFAULT_TTL

    @property
    def renew(self) -> float:
        return 5.0 * self.scale

    @property
    def truth_bound(self) -> float:
        """From a death, or the recovery if that is later, until the recorded state is true."""
        return PROMISE_SECONDS * self.scale * self.patience

    @property
    def overlap_bound(self) -> float:
        """How long a process may live on beside the one that has replaced it: until its next renewal, and 5 s."""
        return (self.renew + EXIT_SECONDS) * self.patience

    @property
    def quiet_bound(self) -> float:
        """From the last final state until no process of any run is left: a sweep every 10 s, a stop of 5 s."""
        return 30.0 * self.patience

    def server_settings(self) -> dict[str, Any]:
        return {
            "server_lease_ttl_seconds": self.lease_ttl,
            "server_lease_renew_seconds": self.renew,
            "server_lease_reaper_seconds": 2.0 * self.scale,
            "server_cancel_grace_seconds": 5.0 * self.scale,
            "server_slot_wait_seconds": 1.0,
        }

    def worker_settings(self) -> dict[str, Any]:
        return {**self.server_settings(), "worker_stop_grace_seconds": 5.0 * self.scale}

    def to_json(self) -> dict[str, Any]:
        bounds = {name: getattr(self, name) for name in ("truth_bound", "overlap_bound", "quiet_bound")}
        return {**dataclasses.asdict(self), **bounds, "settings": self.worker_settings()}

    @classmethod
    def of(cls, written: dict[str, Any]) -> Plan:
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in written.items() if name in names}
        return cls(**{**known, "kinds": tuple(known["kinds"])})
