"""Schedules on real servers: filled at once, by two processes on one database never twice, run by a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.testing.processes import Place
from headway.testing.waiting import eventually
from headway.wire.deployments import DeploymentScheduleUpdate, DeploymentUpdate
from headway.wire.flow_runs import FlowRunQuery
from headway.wire.schedules import Schedule

DEPLOYMENTS = 12


def client_of(place: Place) -> SyncClient:
    return SyncClient(place.url, settings=Settings(home=place.home))


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[SyncClient, SyncClient]]:
    """Two server processes, each with a home of its own, on one database."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with Place(tmp_path / "one") as one, Place(tmp_path / "two") as two:
        for place in (one, two):
            place.server(server_database_url=url, server_scheduler_interval_seconds=0.2)
        with client_of(one) as first, client_of(two) as second:
            yield first, second


def planned(client: SyncClient) -> list[Any]:
    found: list[Any] = []
    while True:
        page = client.read_flow_runs(FlowRunQuery(limit=200, offset=len(found)))
        found += page
        if len(page) < 200:
            return found


def test_two_servers_on_one_database_never_plan_a_run_twice(twins: tuple[SyncClient, SyncClient]) -> None:
    flow = twins[0].create_flow("etl")
    for number in range(DEPLOYMENTS):
        twins[number % 2].create_deployment(flow.id, f"d{number}", schedule=Schedule(cron="*/5 * * * *"))
    eventually(lambda: len(planned(twins[0])) >= DEPLOYMENTS * 12, 60, "all runs planned")
    for client in twins:
        seen = Counter((run.deployment_id, run.expected_start_time) for run in planned(client))
        assert set(seen.values()) == {1}
        assert len({deployment for deployment, _ in seen}) == DEPLOYMENTS


def test_a_new_deployment_has_its_next_runs_at_once_though_the_scheduler_sleeps(place: Place) -> None:
    place.server(server_scheduler_interval_seconds=3600)
    with client_of(place) as client:
        flow = client.create_flow("etl")
        client.create_deployment(flow.id, "d", schedule=Schedule(cron="0 9 * * *", timezone="Europe/Berlin"))
        runs = eventually(lambda: planned(client), 20, "planned runs")
        assert len(runs) == 3
        assert all(run.expected_start_time > datetime.now(UTC) for run in runs)


def test_a_switched_off_scheduler_plans_nothing(place: Place) -> None:
    place.server(server_loops_scheduler="off", server_scheduler_interval_seconds=0.05)
    with client_of(place) as client:
        flow = client.create_flow("etl")
        deployment = client.create_deployment(flow.id, "d", schedule=Schedule(cron="0 9 * * *"))
        client.pause_deployment(deployment)
        client.resume_deployment(deployment)
        assert planned(client) == []


def test_a_changed_schedule_takes_the_place_of_the_old_one(place: Place) -> None:
    place.server(server_scheduler_interval_seconds=0.2)
    with client_of(place) as client:
        flow = client.create_flow("etl")
        deployment = client.create_deployment(flow.id, "d", schedule=Schedule(cron="0 9 * * *"))
        eventually(lambda: len(planned(client)) == 3, 20)
        change = DeploymentScheduleUpdate(schedule=Schedule(cron="30 10 * * *"))
        client.update_deployment(deployment, DeploymentUpdate(schedules=[change]))
        eventually(lambda: {run.expected_start_time.hour for run in planned(client)} == {10}, 20)
        (schedule,) = client.read_deployment_schedules(deployment)
        client.delete_deployment_schedule(deployment, schedule.id)
        eventually(lambda: planned(client) == [], 20)
