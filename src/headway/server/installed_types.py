"""The drivers beside the server, as services ask for them. Only server.app imports this."""

from __future__ import annotations

from typing import Any

from headway.core.errors import DriverError
from headway.drivers.registry import DriverRegistry


class InstalledDrivers:
    """`services.worker_types.InstalledTypes` from the entry points."""

    def __init__(self, registry: DriverRegistry | None = None) -> None:
        self._registry = registry or DriverRegistry.installed()

    def types(self) -> list[str]:
        return self._registry.types()

    def template(self, type: str) -> dict[str, Any] | None:
        """None when the driver, or what it needs, is not installed."""
        try:
            return self._registry.template(type)
        except DriverError:
            return None

    def description(self, type: str) -> str:
        try:
            return self._registry.load(type).description
        except DriverError as error:
            return error.message
