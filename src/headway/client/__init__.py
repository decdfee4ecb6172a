"""The one client of the API: `Client` (async), `SyncClient` (driven by it), `get_client()`; loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.client.client import Client
    from headway.client.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
    from headway.client.sync import SyncClient, get_client

__all__ = ["Client", "CronSchedule", "IntervalSchedule", "RRuleSchedule", "SyncClient", "get_client"]

_HOMES = {
    "Client": "client",
    "CronSchedule": "schedules",
    "IntervalSchedule": "schedules",
    "RRuleSchedule": "schedules",
    "SyncClient": "sync",
    "get_client": "sync",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headway.client' has no attribute {name!r}")
    return getattr(import_module(f"headway.client.{_HOMES[name]}"), name)
