"""Identifiers: version 7 UUIDs (RFC 9562), so that ids sort by the time they were made."""

from __future__ import annotations

import os
import time
from uuid import UUID

__all__ = ["new_id"]


def new_id() -> UUID:
    """A new time-ordered id: 48 bits of milliseconds, 12 bits of the fraction, 62 random bits."""
    milliseconds, remainder = divmod(time.time_ns(), 1_000_000)
    fraction = remainder * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (fraction << 64) | (0b10 << 62) | random)
