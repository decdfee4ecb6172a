"""States between the wire and the core."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from headway.core import states as core
from headway.wire.base import decode, encode
from headway.wire.states import (
    AbortDetails,
    AcceptDetails,
    OrchestrationResult,
    RejectDetails,
    ResponseDetails,
    SetStateStatus,
    State,
    StateCreate,
    WaitDetails,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("7b1f3ab2-6f14-4c34-9b3e-8e4d0b3b1a11")


def test_a_proposal_becomes_a_core_state_with_the_usual_name_and_plain_details() -> None:
    body = '{"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-03-01T12:00:00Z", "new_one": 1}}'
    state = decode(body, StateCreate).proposed()
    assert (state.type, state.name) == (core.StateType.SCHEDULED, "Scheduled")
    assert state.scheduled_time == NOON
    assert "new_one" not in state.details


def test_a_core_state_survives_the_wire() -> None:
    state = core.Scheduled(NOON, name="AwaitingRetry", message="again", data={"x": 1}, transition_id=ID)
    seen = decode(encode(State.of(state)), State)
    assert (seen.id, seen.type, seen.name, seen.message, seen.data) == (
        state.id, "SCHEDULED", "AwaitingRetry", "again", {"x": 1},
    )  # fmt: skip
    assert seen.state_details.scheduled_time == NOON
    assert seen.state_details.transition_id == ID
    assert seen.timestamp == state.timestamp


@pytest.mark.parametrize(
    ("details", "keys"),
    [
        (AcceptDetails(), {"type"}),
        (RejectDetails(reason="r"), {"type", "reason"}),
        (AbortDetails(reason="r"), {"type", "reason"}),
        (WaitDetails(delay_seconds=3), {"type", "delay_seconds", "reason"}),
    ],
)
def test_each_kind_of_answer_is_told_by_its_type(details: ResponseDetails, keys: set[str]) -> None:
    result = OrchestrationResult(state=None, status=SetStateStatus.ACCEPT, details=details)
    assert set(msgspec.json.decode(encode(result))["details"]) == keys
    assert decode(encode(result), OrchestrationResult) == result
