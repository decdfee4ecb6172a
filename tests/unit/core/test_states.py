from datetime import UTC, datetime, timedelta

import pytest

from headway.core import states
from headway.core.states import State, StateType

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "type", "name"),
    [
        (states.Scheduled(NOON), StateType.SCHEDULED, "Scheduled"),
        (states.Late(NOON), StateType.SCHEDULED, "Late"),
        (states.AwaitingRetry(NOON), StateType.SCHEDULED, "AwaitingRetry"),
        (states.AwaitingConcurrencySlot(NOON), StateType.SCHEDULED, "AwaitingConcurrencySlot"),
        (states.Resuming(NOON), StateType.SCHEDULED, "Resuming"),
        (states.Pending(), StateType.PENDING, "Pending"),
        (states.Running(), StateType.RUNNING, "Running"),
        (states.Retrying(), StateType.RUNNING, "Retrying"),
        (states.Completed(), StateType.COMPLETED, "Completed"),
        (states.Failed(), StateType.FAILED, "Failed"),
        (states.TimedOut(), StateType.FAILED, "TimedOut"),
        (states.Crashed(), StateType.CRASHED, "Crashed"),
        (states.Cancelled(), StateType.CANCELLED, "Cancelled"),
        (states.Cancelling(), StateType.CANCELLING, "Cancelling"),
        (states.Paused(), StateType.PAUSED, "Paused"),
        (states.Suspended(), StateType.PAUSED, "Suspended"),
    ],
)
def test_each_constructor_makes_its_type_and_name(state: State, type: StateType, name: str) -> None:
    assert (state.type, state.name) == (type, name)
    assert state.is_final == (type in states.TERMINAL)


def test_details_are_plain_json_and_parse_back_to_times() -> None:
    state = states.Scheduled(NOON)
    assert state.details == {"scheduled_time": "2030-01-01T12:00:00+00:00"}
    assert state.scheduled_time == NOON


def test_a_time_from_another_zone_is_kept_as_utc() -> None:
    local = datetime.fromisoformat("2030-01-01T14:00:00+02:00")
    assert states.Scheduled(local).details["scheduled_time"] == "2030-01-01T12:00:00+00:00"


def test_suspended_always_reschedules() -> None:
    state = states.Suspended(pause_timeout=NOON + timedelta(hours=1), pause_key="k")
    assert state.details["pause_reschedule"] is True
    assert state.pause_timeout == NOON + timedelta(hours=1)


def test_with_details_drops_keys_set_to_none() -> None:
    assert "scheduled_time" not in states.Scheduled(NOON).with_details(scheduled_time=None).details
