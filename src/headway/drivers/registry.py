"""Finds the installed drivers by the entry-point group `headway.drivers`; loads one only when it is asked for.

The name of an entry point is the driver's type, its value the driver's class. Whether a driver's own
software is there is known when it is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

from headway.core.errors import DriverError, DriverNotFound
from headway.drivers.base import Driver, base_job_template

__all__ = ["GROUP", "DriverRegistry", "driver_class", "known_types"]

GROUP = "headway.drivers"
DriverType: TypeAlias = type[Driver]


class DriverRegistry:
    """The drivers of this installation, by type. `loaders` maps a type to what returns its class."""

    def __init__(self, loaders: Mapping[str, Callable[[], Any]]) -> None:
        self._loaders = dict(loaders)

    @classmethod
    def installed(cls, found: Iterable[EntryPoint] | None = None) -> DriverRegistry:
        """What is installed beside this code."""
        points = entry_points(group=GROUP) if found is None else found
        return cls({point.name: point.load for point in points})

    def types(self) -> list[str]:
        return sorted(self._loaders)

    def load(self, type: str) -> DriverType:
        """The driver's class. Raises `DriverNotFound` naming the known types, or `DriverError` when what
        the driver itself needs is missing."""
        if type not in self._loaders:
            known = ", ".join(self.types()) or "none"
            raise DriverNotFound(
                f"No driver is installed for type '{type}'; installed types: {known}. "
                f"Install the package that brings it, e.g. 'headway[{type}]'."
            )
        try:
            driver: DriverType = self._loaders[type]()
        except ImportError as error:
            raise DriverError(
                f"The driver for type '{type}' cannot be loaded: {error}. "
                f"Install what it needs, e.g. 'headway[{type}]'."
            ) from error
        return driver

    def template(self, type: str) -> dict[str, Any]:
        """The default base job template of a type."""
        return base_job_template(self.load(type).Configuration)


def known_types() -> list[str]:
    """The types that are installed here."""
    return DriverRegistry.installed().types()


def driver_class(type: str) -> DriverType:
    """The installed driver of this type; see `DriverRegistry.load`."""
    return DriverRegistry.installed().load(type)
