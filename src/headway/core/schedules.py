"""When a deployment's runs are due: cron, interval and recurrence rules, right on both clock-change days.

A schedule speaks in wall-clock times of its zone; `due_times` turns them into instants. On the day clocks go
forward a time that does not exist moves on by the gap (RFC 5545 §3.3.5: 02:30 becomes 03:30); on
the day they go back a repeated time counts once. Schedules that run in every hour (`0 * * * *`) go on hour by
hour: nothing is added in the gap and the repeated hour runs twice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from headway.core.errors import ScheduleError
from headway.core.lazy import Lazy

if TYPE_CHECKING:
    import croniter
    from dateutil import rrule as recurrence
else:
    croniter, recurrence = Lazy("croniter"), Lazy("dateutil.rrule")

__all__ = ["Schedule", "check_schedule", "due_times", "next_times", "times_to_plan", "zone"]

RRULE_EPOCH = datetime(2020, 1, 1)  # noqa: DTZ001 - a wall-clock time
"""Where a recurrence rule without DTSTART starts, as in the reference."""

RRULE_MAX_LENGTH = 6500
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exactly one of `cron`, `interval` (seconds) and `rrule`; what is not set does not apply.

    `timezone` is an IANA name, UTC if missing. `anchor_date` is the instant from which intervals are counted:
    whole days keep their wall-clock time across clock changes, shorter ones keep their distance. `day_or`: a
    cron with a day of month and a day of week means either (True) or both at once (False).
    """

    cron: str | None = None
    interval: float | None = None
    rrule: str | None = None
    timezone: str | None = None
    day_or: bool = True
    anchor_date: datetime | None = None

    @property
    def kind(self) -> str:
        """The reference's class name, shown as the maker of a scheduled run."""
        if self.cron is not None:
            return "CronSchedule"
        return "IntervalSchedule" if self.interval is not None else "RRuleSchedule"


def check_schedule(schedule: Schedule) -> None:
    """Raise `ScheduleError`, one line, if the schedule means nothing."""
    given = [name for name in ("cron", "interval", "rrule") if getattr(schedule, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ScheduleError(f"a schedule has exactly one of cron, interval and rrule; this one has {found}")
    zone(schedule.timezone)
    if schedule.cron is not None:
        _check_cron(schedule.cron, schedule.day_or)
    elif schedule.interval is not None:
        _check_interval(schedule.interval, schedule.anchor_date)
    elif schedule.rrule is not None:
        _parse_rrule(schedule.rrule)


def next_times(schedule: Schedule, after: datetime, limit: int = 1, until: datetime | None = None) -> list[datetime]:
    """The first `limit` due times at or after `after` and at or before `until`, ascending, in UTC."""
    return list(_until(islice(due_times(schedule, after), limit), until))


def times_to_plan(
    schedule: Schedule,
    now: datetime,
    *,
    min_runs: int,
    max_runs: int,
    min_ahead: timedelta,
    max_ahead: timedelta,
    planned: int = 0,
    last: datetime | None = None,
) -> list[datetime]:
    """The due times for which runs are missing at `now` (CONTRACT §3, schedule_deployments).

    As few as satisfy both minimums (`min_runs` of them, the last at least `min_ahead` away), never more than
    `max_runs`, none further than `max_ahead`. `planned` runs exist already, the furthest of them due at `last`.
    """
    times = due_times(schedule, now if last is None else max(now, last + timedelta(microseconds=1)))
    missing: list[datetime] = []
    for due in _until(islice(times, max(0, max_runs - planned)), now + max_ahead):
        missing.append(due)
        if len(missing) + planned >= min_runs and due >= now + min_ahead:
            break
    return missing


def due_times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """All due times at or after `after`, ascending and distinct, in UTC; may be endless."""
    local = zone(schedule.timezone)
    after = after.astimezone(UTC)
    if schedule.interval is not None:
        return _interval_times(schedule, local, after)
    try:
        start = _wall_start(after, local)
    except OverflowError:
        return iter(())
    if schedule.cron is not None:
        wall, every_hour = _cron_wall_times(schedule.cron, schedule.day_or, start)
    else:
        wall, every_hour = _rrule_wall_times(schedule.rrule or "", start)
    return (due for due in _instants(wall, local, every_hour) if due >= after)


def zone(name: str | None) -> tzinfo:
    """The time zone of that IANA name (None or "": UTC)."""
    if not name or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        close = difflib.get_close_matches(name, sorted(available_timezones()), n=1)
        hint = f"did you mean '{close[0]}'?" if close else "expected an IANA name such as 'America/New_York'"
        raise ScheduleError(f"unknown time zone '{name}'; {hint}") from None


def _wall_start(after: datetime, local: tzinfo) -> datetime:
    """A wall-clock time before every one that can mean `after` or later.

    Near a clock change that is well before it: repeated times and those moved out of the gap belong to earlier
    wall-clock times. Otherwise a moment before it, or a rule of seconds would be walked through a whole day.
    """
    steady = (after - DAY).astimezone(local).utcoffset() == (after + DAY).astimezone(local).utcoffset()
    return after.astimezone(local).replace(tzinfo=None) - (timedelta(seconds=1) if steady else DAY)


def _until(times: Iterator[datetime], until: datetime | None) -> Iterator[datetime]:
    for due in times:
        if until is not None and due > until:
            return
        yield due


# --- wall clock to instants ---


def _instants(wall: Iterator[datetime], local: tzinfo, every_hour: bool) -> Iterator[datetime]:
    """Ascending wall-clock times as ascending, distinct instants.

    Around a clock change order may differ (a time moved out of the gap lands among the ones after it), so
    instants wait in a heap until no later wall-clock time can come before them.
    """
    waiting: list[datetime] = []
    last: datetime | None = None
    for time in wall:
        first = time.replace(tzinfo=local, fold=0).astimezone(UTC)
        second = time.replace(tzinfo=local, fold=1).astimezone(UTC)
        in_gap, repeated = second < first, second > first
        if not (in_gap and every_hour):
            heappush(waiting, first)
        if repeated and every_hour:
            heappush(waiting, second)
        while waiting and waiting[0] <= min(first, second):
            if (due := heappop(waiting)) != last:
                last = due
                yield due
    while waiting:
        if (due := heappop(waiting)) != last:
            last = due
            yield due


# --- cron ---


@lru_cache(maxsize=1024)  # a millisecond each, and people deploy many times what is due at the same minutes
def _check_cron(cron: str, day_or: bool) -> None:
    expected = "expected five fields 'minute hour day month weekday', e.g. '0 9 * * 1-5'"
    if any(field.casefold() in ("r", "h") or "(" in field for field in cron.split()):
        raise ScheduleError(f"bad cron '{cron}': random and hashed fields are not supported; {expected}")
    count = len(cron.split())
    if not cron.startswith("@") and count not in (5, 6, 7):
        raise ScheduleError(f"bad cron '{cron}': it has {count} field{'' if count == 1 else 's'}; {expected}")
    try:
        croniter.croniter.expand(cron)
        croniter.croniter(cron, RRULE_EPOCH, day_or=day_or).get_next(datetime)
    except (croniter.CroniterError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = _cron_fault(str(error)) or "it is not a cron expression"
        raise ScheduleError(f"bad cron '{cron}': {reason}; {expected}") from None


def _cron_fault(words: str) -> str:
    """The library's words without its repetition of the whole line: '[0 25 * * *] is not acceptable, out of range'."""
    return re.sub(r"^\[.*\] is not acceptable", "a value is not acceptable", words).rstrip(".")


def _cron_wall_times(cron: str, day_or: bool, start: datetime) -> tuple[Iterator[datetime], bool]:
    return _cron_steps(croniter.croniter(cron, start, day_or=day_or)), _in_every_hour(cron)


@lru_cache(maxsize=1024)
def _in_every_hour(cron: str) -> bool:
    hours = croniter.croniter.expand(cron)[0][1]
    return hours == ["*"] or len(set(hours)) == 24


def _cron_steps(steps: croniter.croniter) -> Iterator[datetime]:
    while True:
        try:
            yield steps.get_next(datetime)
        except (croniter.CroniterError, OverflowError):
            return


# --- interval ---


def _check_interval(interval: float, anchor: datetime | None) -> None:
    if not 0 < interval <= timedelta.max.total_seconds():
        raise ScheduleError(f"bad interval {interval:g}: expected a number of seconds greater than 0")
    if anchor is not None and anchor.tzinfo is None:
        raise ScheduleError(f"bad anchor_date '{anchor.isoformat()}': expected a time with a UTC offset")


def _interval_times(schedule: Schedule, local: tzinfo, after: datetime) -> Iterator[datetime]:
    """anchor + k x (whole days by the wall clock, the rest elapsed), from the first k at or after `after`.

    Counted from the anchor each time, never from the run before, so a time moved out of a gap does not stick.
    """
    step = timedelta(seconds=schedule.interval or 0)
    days, rest = timedelta(days=step.days), step - timedelta(days=step.days)
    anchor = (schedule.anchor_date or RRULE_EPOCH.replace(tzinfo=UTC)).astimezone(local)
    wall = anchor.replace(tzinfo=None)

    def at(k: int) -> datetime:
        if not days:
            return anchor.astimezone(UTC) + k * rest
        return (wall + k * days).replace(tzinfo=local, fold=anchor.fold).astimezone(UTC) + k * rest

    k = (after - anchor) // step - 1
    try:
        while at(k) < after:
            k += 1
        while True:
            yield at(k)
            k += 1
    except OverflowError:
        return


# --- recurrence rules ---


# dateutil keeps what a rule was made of in private attributes and types none of them, hence `Any`.


@lru_cache(maxsize=256)
def _parse_rrule(text: str) -> Any:
    """The rule on wall-clock times; like the reference, offsets in it are dropped, digits kept."""
    if len(text) > RRULE_MAX_LENGTH:
        raise ScheduleError(f"bad rrule '{text[:40]}…': longer than {RRULE_MAX_LENGTH} characters")
    try:
        return _map_rules(recurrence.rrulestr(text, dtstart=RRULE_EPOCH), _on_wall_clock)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        reason = str(error) or "not a recurrence rule"
        expected = "expected e.g. 'FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9;BYMINUTE=0'"
        raise ScheduleError(f"bad rrule '{text[:80]}': {reason}; {expected}") from None


def _map_rules(rule: Any, change: Callable[[Any], Any]) -> Any:
    """The rule, or the set with each of its rules, changed; dates of a set lose their offset."""
    if isinstance(rule, recurrence.rrule):
        return change(rule)
    parts: Any = rule
    changed = recurrence.rruleset()
    for part in parts._rrule:
        changed.rrule(change(part))
    for part in parts._exrule:
        changed.exrule(change(part))
    for date in parts._rdate:
        changed.rdate(date.replace(tzinfo=None))
    for date in parts._exdate:
        changed.exdate(date.replace(tzinfo=None))
    return changed


def _on_wall_clock(rule: Any) -> Any:
    until = rule._until
    return rule.replace(dtstart=rule._dtstart.replace(tzinfo=None), until=until.replace(tzinfo=None) if until else None)


def _rrule_wall_times(text: str, start: datetime) -> tuple[Iterator[datetime], bool]:
    rule = _parse_rrule(text)
    parts = [rule] if isinstance(rule, recurrence.rrule) else rule._rrule
    near = _map_rules(rule, lambda part: _moved_near(part, start))
    return near.xafter(start, inc=True), all(_runs_every_hour(part) for part in parts)


@cache
def _periods() -> dict[int, timedelta]:
    """How long a period is, where all are equally long."""
    return {
        recurrence.SECONDLY: timedelta(seconds=1),
        recurrence.MINUTELY: timedelta(minutes=1),
        recurrence.HOURLY: timedelta(hours=1),
        recurrence.DAILY: DAY,
        recurrence.WEEKLY: 7 * DAY,
    }


def _moved_near(rule: Any, start: datetime) -> Any:
    """The same rule begun whole periods later: a rule of minutes is not walked minute by minute from 2020."""
    period = _periods().get(rule._freq)
    if period is None or rule._count is not None or start <= rule._dtstart:
        return rule
    stride = period * rule._interval
    return rule.replace(dtstart=rule._dtstart + stride * ((start - rule._dtstart) // stride))


def _runs_every_hour(rule: Any) -> bool:
    if rule._freq == recurrence.HOURLY and not rule._byhour:
        return bool(rule._interval == 1)
    return len(set(rule._byhour or ())) == 24 or (
        not rule._byhour and rule._freq in (recurrence.MINUTELY, recurrence.SECONDLY)
    )
