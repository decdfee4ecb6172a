"""Identifiers: version 7 UUIDs (RFC 9562), so that ids sort by the time they were made."""

from __future__ import annotations

import os
from random import Random
from time import time_ns
from uuid import UUID, SafeUUID

__all__ = ["new_id"]

# A generator of our own: one system call per id costs more than the rest of it, and a flow that seeds
# `random` must not get the ids of its last run. Ids are unique, not secret.
_bits = Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_bits.seed)  # or a child would make its parent's ids

_VARIANT = (7 << 76) | (0b10 << 62)
_blank, _set, _unknown = object.__new__, object.__setattr__, SafeUUID.unknown


def new_id() -> UUID:
    """A new time-ordered id: 48 bits of milliseconds, 12 bits of the fraction, 62 random bits."""
    milliseconds, remainder = divmod(time_ns(), 1_000_000)
    fraction = remainder * 4096 // 1_000_000
    id: UUID = _blank(UUID)  # its constructor spends more on checking than all of this
    _set(id, "int", (milliseconds << 80) | (fraction << 64) | _VARIANT | _bits.getrandbits(62))
    _set(id, "is_safe", _unknown)
    return id
