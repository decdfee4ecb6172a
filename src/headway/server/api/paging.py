"""Limits and pages of /filter and /paginate bodies (CONTRACT §1.2)."""

from __future__ import annotations

from headway.wire.base import MAX_LIMIT

__all__ = ["limit_of", "page_of"]


def limit_of(limit: int | None) -> int:
    """The limit asked for, or the greatest one."""
    return MAX_LIMIT if limit is None else limit


def page_of(limit: int | None, page: int | None) -> tuple[int, int, int]:
    """(limit, page, offset) of a /paginate body."""
    size, number = limit_of(limit), page or 1
    return size, number, (number - 1) * size
