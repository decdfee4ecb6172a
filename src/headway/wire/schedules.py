"""Schedules on the wire: one struct that is an interval, a cron line or an RFC 5545 rule."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta

from headway.wire.base import UNSET, Request, UnsetType, in_utc

__all__ = ["Schedule"]

ANCHOR = datetime(2020, 1, 1, tzinfo=UTC)
KINDS = {
    "interval": ("interval", "anchor_date", "timezone"),
    "cron": ("cron", "timezone", "day_or"),
    "rrule": ("rrule", "timezone"),
}
DURATION = re.compile(
    r"^(?P<sign>[-+]?)P(?:(?P<days>[\d.]+)D)?"
    r"(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?$"
)


class Schedule(Request):
    """Exactly one of `interval` (seconds, or an ISO 8601 duration on the way in), `cron` and `rrule`.

    Once decoded, the fields of its kind are all set and those of the others are UNSET, so it encodes as the
    reference's IntervalSchedule, CronSchedule or RRuleSchedule. `day_or`: a day matches if day of month *or*
    day of week does. Whether a cron line or time zone means anything is core.schedules' business.
    """

    interval: Annotated[float, Meta(gt=0)] | str | UnsetType = UNSET
    anchor_date: datetime | UnsetType | None = UNSET
    cron: str | UnsetType = UNSET
    day_or: bool | UnsetType | None = UNSET
    rrule: str | UnsetType = UNSET
    timezone: str | UnsetType | None = UNSET

    @property
    def kind(self) -> Literal["interval", "cron", "rrule"]:
        if self.cron is not UNSET:
            return "cron"
        return "interval" if self.interval is not UNSET else "rrule"

    def __post_init__(self) -> None:
        named = [kind for kind in KINDS if getattr(self, kind) is not UNSET]
        if len(named) != 1:
            found = " and ".join(named) or "none of them"
            raise ValueError(f"A schedule has exactly one of interval, cron and rrule; found {found}.")
        kind = named[0]
        strange = [
            field for field in self.__struct_fields__ if field not in KINDS[kind] and getattr(self, field) is not UNSET
        ]
        if strange:
            allowed = ", ".join(KINDS[kind])
            raise ValueError(f"'{strange[0]}' does not belong to a {kind} schedule, which takes: {allowed}.")
        self.settle(kind)

    def settle(self, kind: str) -> None:
        """Fill in what the kind has by default."""
        if self.timezone is UNSET or self.timezone is None:
            self.timezone = None if kind == "cron" else "UTC"
        if kind == "interval":
            if isinstance(self.interval, str):
                self.interval = seconds(self.interval)
            anchor = self.anchor_date
            self.anchor_date = in_utc(anchor) if isinstance(anchor, datetime) else ANCHOR
        if kind == "cron" and not isinstance(self.day_or, bool):
            self.day_or = True


def seconds(text: str) -> float:
    """An ISO 8601 duration such as PT1H30M in seconds."""
    match = DURATION.match(text)
    if match is None or not any(match[unit] for unit in ("days", "hours", "minutes", "seconds")):
        raise ValueError(f"'{text}' is not a duration; give seconds, or ISO 8601 such as 'PT1H'.")
    units = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
    total = sum(float(match[unit] or 0) * size for unit, size in units.items())
    if match["sign"] == "-" or total <= 0:
        raise ValueError(f"The interval '{text}' is not positive.")
    return total
