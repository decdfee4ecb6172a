"""Schedules as people write them; each returns the wire's one `Schedule` (CONTRACT §2.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from headway.wire.schedules import Schedule

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]


def CronSchedule(cron: str, timezone: str | None = None, day_or: bool = True) -> Schedule:
    """Runs at the times of a cron line, in an IANA time zone (default UTC)."""
    return Schedule(cron=cron, timezone=timezone, day_or=day_or)


def IntervalSchedule(
    interval: timedelta | float, anchor_date: datetime | None = None, timezone: str | None = None
) -> Schedule:
    """Runs every `interval` (seconds or timedelta), counted from `anchor_date`."""
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else float(interval)
    return Schedule(interval=seconds, anchor_date=anchor_date, timezone=timezone)


def RRuleSchedule(rrule: str, timezone: str | None = None) -> Schedule:
    """Runs at the times of an RFC 5545 rule."""
    return Schedule(rrule=rrule, timezone=timezone)
