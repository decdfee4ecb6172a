from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.errors import ScheduleError
from headway.core.schedules import Schedule, check_schedule, due_times, next_times, times_to_plan

NEW_YORK = "America/New_York"
OBSERVED = json.loads((Path(__file__).parent / "data" / "schedule_times.json").read_text())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def make(fields: dict[str, Any]) -> Schedule:
    anchor = fields.get("anchor_date")
    return Schedule(**{**fields, "anchor_date": at(anchor) if anchor else None})


def local(times: list[datetime], name: str = NEW_YORK) -> list[str]:
    return [time.astimezone(ZoneInfo(name)).strftime("%d %H:%M %z") for time in times]


@pytest.mark.parametrize(
    "case", OBSERVED["cases"], ids=lambda case: " ".join(map(str, case["schedule"].values())) + case["after"]
)
def test_due_times_are_those_of_the_reference_or_differ_for_a_written_reason(case: dict[str, Any]) -> None:
    expected = [at(time) for time in case.get("ours", case["reference"]).split()]
    if "ours" in case:
        assert case["why"] in OBSERVED["why"]
    schedule = make(case["schedule"])
    check_schedule(schedule)
    assert next_times(schedule, at(case["after"]), limit=4) == expected


def test_a_daily_0230_is_neither_lost_nor_doubled_when_clocks_go_forward() -> None:
    schedule = Schedule(cron="30 2 * * *", timezone=NEW_YORK)
    times = next_times(schedule, at("2025-03-08T05:00Z"), limit=3)
    assert local(times) == ["08 02:30 -0500", "09 03:30 -0400", "10 02:30 -0400"]


@pytest.mark.parametrize("cron", ["30 1 * * *", "30 2 * * *"])
def test_a_daily_run_is_neither_lost_nor_doubled_when_clocks_go_back(cron: str) -> None:
    times = next_times(Schedule(cron=cron, timezone=NEW_YORK), at("2025-11-01T04:00Z"), limit=4)
    assert [time.astimezone(ZoneInfo(NEW_YORK)).day for time in times] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="0 * * * *", timezone=NEW_YORK),
        Schedule(cron="0 0-23 * * *", timezone=NEW_YORK),
        Schedule(interval=3600, anchor_date=at("2020-01-01T00:00Z"), timezone=NEW_YORK),
        Schedule(rrule="FREQ=HOURLY", timezone=NEW_YORK),
    ],
    ids=lambda schedule: schedule.kind,
)
@pytest.mark.parametrize("day", ["2025-03-09T00:00Z", "2025-11-02T00:00Z"])
def test_what_runs_every_hour_goes_on_every_hour(schedule: Schedule, day: str) -> None:
    assert next_times(schedule, at(day), limit=24) == [at(day) + timedelta(hours=n) for n in range(24)]


def test_a_daily_interval_keeps_its_wall_clock_time_all_year() -> None:
    schedule = Schedule(interval=86400, anchor_date=at("2025-01-01T14:00Z"), timezone=NEW_YORK)
    for day in ("2025-02-01T05:00Z", "2025-03-09T05:00Z", "2025-07-01T04:00Z", "2025-11-02T04:00Z"):
        (time,) = next_times(schedule, at(day))
        assert time.astimezone(ZoneInfo(NEW_YORK)).strftime("%H:%M") == "09:00"


def test_day_or_decides_between_either_and_both_days() -> None:
    start = at("2025-01-02T00:00Z")
    either = next_times(Schedule(cron="0 9 13 * 5"), start, limit=3)
    both = next_times(Schedule(cron="0 9 13 * 5", day_or=False), start)
    assert either == [at("2025-01-03T09:00Z"), at("2025-01-10T09:00Z"), at("2025-01-13T09:00Z")]
    assert both == [at("2025-06-13T09:00Z")]


def test_until_is_included_and_ends_the_list() -> None:
    schedule = Schedule(cron="0 * * * *")
    assert next_times(schedule, at("2025-01-01T00:00Z"), limit=9, until=at("2025-01-01T01:00Z")) == [
        at("2025-01-01T00:00Z"),
        at("2025-01-01T01:00Z"),
    ]


def test_a_rule_of_seconds_from_long_ago_answers_at_once() -> None:
    schedule = Schedule(rrule="DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=7")
    first, second = next_times(schedule, at("2025-01-01T00:00Z"), limit=2)
    assert second - first == timedelta(seconds=7)


def test_a_rule_that_has_ended_has_no_more_times() -> None:
    schedule = Schedule(rrule="DTSTART:20200101T000000\nRRULE:FREQ=DAILY;COUNT=3")
    assert next_times(schedule, at("2025-01-01T00:00Z"), limit=5) == []


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Schedule(cron="0 9 * * *", timezone="Europe/Berln"), "did you mean 'Europe/Berlin'?"),
        (Schedule(cron="0 9 * * *", timezone="x"), "unknown time zone 'x'; expected an IANA name"),
        (Schedule(cron="0 9 * * *", timezone="America"), "unknown time zone 'America'"),
        (Schedule(cron="0 9 * * *", timezone="../etc/passwd"), "unknown time zone"),
        (Schedule(cron="61 * * * *"), "bad cron '61 * * * *'"),
        (Schedule(cron="* * *"), "it has 3 fields; expected five fields"),
        (Schedule(cron="0 25 * * *"), "bad cron '0 25 * * *': a value is not acceptable, out of range; expected"),
        (Schedule(cron=""), "bad cron ''"),
        (Schedule(cron="H * * * *"), "random and hashed fields are not supported"),
        (Schedule(cron="R(0-9) * * * *"), "random and hashed fields are not supported"),
        (Schedule(cron="0 0 30 2 *"), "bad cron '0 0 30 2 *'"),
        (Schedule(interval=0), "expected a number of seconds greater than 0"),
        (Schedule(interval=-5), "bad interval -5"),
        (Schedule(interval=float("nan")), "bad interval"),
        (Schedule(interval=1e30), "bad interval"),
        (Schedule(interval=5, anchor_date=datetime(2025, 1, 1)), "expected a time with a UTC offset"),  # noqa: DTZ001
        (Schedule(rrule="FREQ=OFTEN"), "bad rrule 'FREQ=OFTEN'"),
        (Schedule(rrule="nonsense"), "bad rrule 'nonsense'"),
        (Schedule(rrule=""), "bad rrule ''"),
        (Schedule(rrule="FREQ=DAILY;" + "X" * 7000), "longer than 6500 characters"),
        (Schedule(), "exactly one of cron, interval and rrule; this one has none of them"),
        (Schedule(cron="0 9 * * *", interval=5), "this one has cron and interval"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_schedule_that_means_nothing_is_refused_in_one_line(schedule: Schedule, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        check_schedule(schedule)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_a_plan_has_the_fewest_runs_that_satisfy_both_minimums() -> None:
    now = at("2025-01-01T00:00Z")
    limits: dict[str, Any] = {
        "min_runs": 3,
        "max_runs": 100,
        "min_ahead": timedelta(hours=1),
        "max_ahead": timedelta(days=100),
    }
    assert len(times_to_plan(Schedule(cron="0 0 * * *"), now, **limits)) == 3
    assert times_to_plan(Schedule(cron="* * * * *"), now, **limits)[-1] == now + timedelta(hours=1)
    assert len(times_to_plan(Schedule(interval=1, anchor_date=now), now, **limits)) == 100
    assert len(times_to_plan(Schedule(cron="0 0 1 */2 *"), now, **limits)) == 2


def test_a_plan_goes_on_after_what_is_planned() -> None:
    now = at("2025-01-01T00:30Z")
    hourly = Schedule(cron="0 * * * *")
    limits: dict[str, Any] = {
        "min_runs": 3,
        "max_runs": 4,
        "min_ahead": timedelta(hours=5),
        "max_ahead": timedelta(days=1),
    }
    first = times_to_plan(hourly, now, **limits)
    assert first == [at(f"2025-01-01T0{hour}:00Z") for hour in (1, 2, 3, 4)]
    assert times_to_plan(hourly, now, planned=2, last=first[1], **limits) == first[2:]
    assert times_to_plan(hourly, now, planned=4, last=first[3], **limits) == []


@settings(max_examples=150, deadline=None)
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    zone=st.sampled_from([NEW_YORK, "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    cron=st.sampled_from(["*/20 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 */3 * * *", "0 9 * * 1-5"]),
)
def test_where_one_starts_never_changes_which_times_are_due(start: datetime, zone: str, cron: str) -> None:
    schedule = Schedule(cron=cron, timezone=zone)
    times = next_times(schedule, start, limit=12)
    assert times == sorted(set(times))
    assert times[0] >= start
    for index, time in enumerate(times):
        assert list(islice(due_times(schedule, time), 12 - index)) == times[index:]
