"""The server about itself. Health, hello, ready and the versions are bare JSON values."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from headway.wire.base import Reply

__all__ = ["CsrfToken"]


class CsrfToken(Reply):
    id: UUID
    created: datetime | None
    updated: datetime | None
    token: str
    client: str
    expiration: datetime
