"""Events, sent in batches; task runs are recorded from them (CONTRACT §2.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from headway.wire.base import Part

__all__ = ["Event", "Resource"]

Resource = dict[str, str]
"""Labels of a thing, `prefect.resource.id` among them; of a related one also `prefect.resource.role`."""


class Event(Part):
    """POST /events takes a list of these. They may come more than once: `id` decides."""

    id: UUID
    occurred: datetime
    event: str
    resource: Resource
    related: list[Resource] = msgspec.field(default_factory=list)
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    follows: UUID | None = None
