"""GET /flow_runs/{id}/explain: why a run is not running (DESIGN §3)."""

from __future__ import annotations

from typing import Any

import msgspec

from headway.wire.base import Reply

__all__ = ["Explanation", "Reason"]


class Reason(Reply):
    """One thing that holds a run back: `code` for programs, `message` for people, `facts` behind both."""

    code: str
    message: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Explanation(Reply):
    """`claimable`: a claim or a poll at this moment would return the run. All reasons at once."""

    claimable: bool
    reasons: list[Reason] = msgspec.field(default_factory=list)
