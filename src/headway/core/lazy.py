"""Libraries that are imported when they are first used: most commands and many servers never need them.

    if TYPE_CHECKING:
        import jsonschema
    else:
        jsonschema = Lazy("jsonschema")

A server imports them in the background once it answers (`load`), so that no request waits for an import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Lazy", "load"]


class Lazy:
    """Stands for a module; its attributes are the module's."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def load() -> None:
    """Import what a server will need sooner or later; may be called on any thread."""
    for name in ("croniter", "dateutil.rrule", "jsonschema", "referencing", "headway.core.sandbox"):
        import_module(name)
