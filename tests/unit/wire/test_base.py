"""Strict requests, UTC times, and decoding errors as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from headway.wire.base import UNSET, decode, encode, given
from headway.wire.deployments import DeploymentCreate, DeploymentUpdate
from headway.wire.errors import fault_of, invalid_request
from headway.wire.flow_runs import FlowRun, FlowRunPolicy, FlowRunQuery
from headway.wire.logs import LogCreate
from headway.wire.work_pools import WorkPoolUpdate

ID = "7b1f3ab2-6f14-4c34-9b3e-8e4d0b3b1a11"


def fault(body: bytes, type: Any) -> tuple[list[str | int], str, str]:
    with pytest.raises(msgspec.DecodeError) as caught:
        decode(body, type)
    found = fault_of(caught.value)
    return found.loc, found.type, found.msg


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00"])
def test_a_decoded_time_is_utc_whatever_its_zone_was(text: str) -> None:
    log = decode(f'{{"name": "n", "level": 20, "message": "m", "timestamp": "{text}"}}', LogCreate)
    assert log.timestamp == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert log.timestamp.tzinfo is UTC


def test_times_inside_filters_are_utc_too() -> None:
    query = decode('{"flow_runs": {"start_time": {"before_": "2026-03-01T12:00:00+02:00"}}}', FlowRunQuery)
    assert query.flow_runs is not None
    assert query.flow_runs.start_time is not None
    assert query.flow_runs.start_time.before_ == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_an_unknown_field_is_refused_by_name_and_place() -> None:
    body = f'{{"name": "d", "flow_id": "{ID}", "schedules": [{{"schedule": {{"cron": "* * * * *", "zone": 1}}}}]}}'
    loc, kind, message = fault(body.encode(), DeploymentCreate)
    assert loc == ["body", "schedules", 0, "schedule", "zone"]
    assert kind == "extra_forbidden"
    assert "'zone'" in message


def test_a_missing_field_is_named() -> None:
    assert fault(b'{"name": "d"}', DeploymentCreate)[:2] == (["body", "flow_id"], "missing")


def test_a_body_that_is_not_json_says_so() -> None:
    loc, kind, message = fault(b"{", DeploymentCreate)
    assert (loc, kind) == (["body"], "json_invalid")
    assert message.startswith("The body is not JSON")


def test_a_limit_over_200_and_an_unknown_sort_are_refused() -> None:
    assert fault(b'{"limit": 201}', FlowRunQuery)[0] == ["body", "limit"]
    assert fault(b'{"offset": -1}', FlowRunQuery)[0] == ["body", "offset"]
    assert fault(b'{"sort": "SIZE"}', FlowRunQuery)[0] == ["body", "sort"]


def test_null_in_a_query_means_the_default_as_with_the_reference() -> None:
    query = decode(b'{"limit": null, "offset": null, "sort": null, "flows": null}', FlowRunQuery)
    assert (query.limit, query.offset, query.sort, query.flows) == (None, None, None, None)


def test_a_patch_tells_null_from_not_said() -> None:
    update = decode(b'{"description": null, "paused": true}', DeploymentUpdate)
    assert given(update) == {"description": None, "paused": True}
    assert update.tags is UNSET
    assert given(decode(b"{}", WorkPoolUpdate)) == {}


def test_parts_and_replies_ignore_what_they_do_not_know() -> None:
    assert decode(b'{"retries": 2, "of_the_future": 1}', FlowRunPolicy).retries == 2
    run = decode(f'{{"id": "{ID}", "created": null, "updated": null, "name": "n", "flow_id": "{ID}", "x": 1}}', FlowRun)
    assert run.id == UUID(ID)


def test_the_422_body_has_the_references_keys() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(b"[]", FlowRunQuery)
    body = msgspec.json.decode(encode(invalid_request([fault_of(caught.value)], [])))
    assert set(body) == {"exception_message", "exception_detail", "request_body"}
    assert set(body["exception_detail"][0]) == {"loc", "msg", "type"}
    assert body["exception_message"] == "Invalid request received."


def test_headways_own_policy_field_is_left_out_until_it_says_something() -> None:
    assert "retry_on_crash" not in msgspec.json.decode(encode(FlowRunPolicy()))
    assert msgspec.json.decode(encode(FlowRunPolicy(retry_on_crash=False)))["retry_on_crash"] is False
