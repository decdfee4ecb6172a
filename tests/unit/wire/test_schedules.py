"""One schedule struct for three wire forms."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headway.wire.base import decode, encode
from headway.wire.schedules import Schedule


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ('{"cron": "0 3 * * *"}', "cron", {"cron": "0 3 * * *", "timezone": None, "day_or": True}),
        ('{"cron": "0 3 * * *", "timezone": "Europe/Paris", "day_or": false}', "cron",
         {"cron": "0 3 * * *", "timezone": "Europe/Paris", "day_or": False}),
        ('{"rrule": "FREQ=DAILY"}', "rrule", {"rrule": "FREQ=DAILY", "timezone": "UTC"}),
        ('{"interval": 90, "anchor_date": "2026-01-01T01:00:00+01:00"}', "interval",
         {"interval": 90.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}),
        ('{"interval": "P1DT1H1M1.5S", "anchor_date": null}', "interval",
         {"interval": 90061.5, "anchor_date": "2020-01-01T00:00:00Z", "timezone": "UTC"}),
    ],
)  # fmt: skip
def test_each_kind_encodes_with_exactly_its_own_keys(body: str, kind: str, expected: dict[str, Any]) -> None:
    schedule = decode(body, Schedule)
    assert schedule.kind == kind
    assert msgspec.json.decode(encode(schedule)) == expected
    assert decode(encode(schedule), Schedule) == schedule


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "found none of them"),
        ('{"cron": "* * * * *", "interval": 5}', "found interval and cron"),
        ('{"cron": "* * * * *", "anchor_date": null}', "'anchor_date' does not belong to a cron schedule"),
        ('{"interval": 0}', "> 0"),
        ('{"interval": "soon"}', "'soon' is not a duration"),
        ('{"interval": "-PT5S"}', "not positive"),
        ('{"crom": "* * * * *"}', "crom"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(body: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        decode(body, Schedule)
