"""Figures count only when a commit is on the disk before it is answered: checked on the running server."""

from __future__ import annotations

from collections.abc import Mapping

from bench.targets.base import BenchError


class NotDurable(BenchError):
    """Commits are not made durable: nothing that is measured counts."""


_DEMANDED = {
    "sqlite": {"synchronous": "FULL", "journal_mode": "wal"},
    "postgresql": {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
}


def demand(told: Mapping[str, str], who: str) -> None:
    """Raise NotDurable unless `told` (a server's own account of the connection that writes states) is durable."""
    database = told.get("database", "")
    if database not in _DEMANDED:
        raise NotDurable(f"{who} does not tell how durable its commits are; no figures without that.")
    for setting, value in _DEMANDED[database].items():
        if told.get(setting) != value:
            raise NotDurable(
                f"{who} runs with {setting} = {told.get(setting, 'unknown')}; figures count only with {value}. "
                "Unset what changes it and run again."
            )
