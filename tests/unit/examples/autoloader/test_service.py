"""The service against a real server inside the test's process: pools, queues, deployments, runs where they belong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from autoloader.errors import SettingsError
from autoloader.lake import Target
from autoloader.load import load_file
from autoloader.routing import Place, Trigger
from autoloader.service import Service, declaring, hand_over, start
from autoloader.settings import Ingestion, Pool, Settings

from autoloader import service as service_module
from headway.client.sync import SyncClient
from headway.core.settings import Settings as HeadwaySettings
from headway.wire.states import StateCreate, StateType
from headway.wire.workers import ClaimRequest, WorkerRegister

Flights = Callable[..., str]
VARIABLES = {"cpu": 4, "memory": "16Gi", "image": "autoloader:1"}
LARGE = Pool(name="autoloader-large-pool", queue="high-memory", job_variables=VARIABLES)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SyncClient]:
    with SyncClient(settings=HeadwaySettings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path, lake) -> Settings:
    ingestion = Ingestion(
        name="flights",
        source=str(lake.source.folder),
        table="lake.flights",
        cron="15 3 * * *",
        timezone="America/New_York",
        retries=3,
        retry_delay_seconds=7,
    )
    return Settings(warehouse=str(lake.target.warehouse), threshold="1 KB", large=LARGE, ingestion=[ingestion])


@pytest.fixture
def service(client: SyncClient, settings: Settings) -> Service:
    made = Service(settings, client)
    list(made.apply())
    return made


def test_it_makes_the_pools_with_their_queues_priority_being_served_first(service: Service, client: Any) -> None:
    pools = {name: client.read_work_pool(name) for name in ("autoloader-process-pool", "autoloader-large-pool")}
    assert {pool.type for pool in pools.values()} == {"process"}
    queues = {queue.name: queue.priority for queue in client.read_work_queues("autoloader-process-pool")}
    assert queues == {"priority": 1, "default": 2}
    assert "high-memory" in {queue.name for queue in client.read_work_queues("autoloader-large-pool")}
    declared = pools["autoloader-large-pool"].base_job_template["variables"]["properties"]
    assert {name: declared[name]["type"] for name in VARIABLES} == {
        "cpu": "integer",
        "memory": "string",
        "image": "string",
    }
    assert "cpu" not in pools["autoloader-process-pool"].base_job_template["variables"]["properties"]


def test_it_makes_one_deployment_per_ingestion_with_schedule_and_parameters(service: Service, client: Any) -> None:
    deployment = client.read_deployment_by_name("autoload/flights")
    assert (deployment.work_pool_name, deployment.work_queue_name) == ("autoloader-process-pool", "default")
    [schedule] = deployment.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("15 3 * * *", "America/New_York")
    assert deployment.entrypoint == "autoloader.flows:autoload"
    assert deployment.parameters["ingestion"]["table"] == "lake.flights"
    assert deployment.parameters["mode"] == "decide"
    assert (deployment.retries, deployment.retry_delay) == (3, 7)


def test_applying_again_changes_nothing(service: Service, client: Any) -> None:
    before = client.read_deployment_by_name("autoload/flights").id
    lines = list(service.apply())
    assert client.read_deployment_by_name("autoload/flights").id == before
    assert len(client.read_deployments()) == 1
    assert lines[0] == "work pool autoloader-process-pool (type: process)"
    assert lines[1] == "work pool autoloader-large-pool (type: process) with cpu=4, memory=16Gi, image=autoloader:1"


def test_a_pool_that_is_there_with_another_type_is_refused_with_the_remedy(
    service: Service, client: SyncClient, settings: Settings
) -> None:
    other = msgspec.structs.replace(settings, large=Pool(name="autoloader-large-pool", type="kubernetes", queue="q"))
    with pytest.raises(SettingsError, match=r"of type process and a pool's type never changes; .* another name"):
        list(Service(other, client).apply())


def test_what_waits_decides_where_a_scheduled_load_runs(service: Service, lake, flights: Flights) -> None:
    lake.put("a.csv", flights("1,UA,5"))
    small = service.trigger("flights", Trigger.SCHEDULE)
    assert (small.run.work_pool_name, small.run.work_queue_name) == ("autoloader-process-pool", "default")
    lake.put("b.csv", flights(*["1,UA,5"] * 200))
    large = service.trigger("flights", Trigger.SCHEDULE)
    assert (large.run.work_pool_name, large.run.work_queue_name) == ("autoloader-large-pool", "high-memory")
    assert large.run.job_variables == VARIABLES
    assert (large.files, large.run.parameters["mode"]) == (2, "load")
    assert large.run.empirical_policy.retries == 3
    load_file(lake.source.folder / "b.csv", lake.source, Target(lake.target.warehouse, "lake.flights"))
    assert service.trigger("flights", Trigger.SCHEDULE).run.work_queue_name == "default"  # little is left


def test_manual_triggers_previews_and_retries_wait_in_the_priority_queue(
    service: Service, lake, flights: Flights
) -> None:
    lake.put("b.csv", flights(*["1,UA,5"] * 200))  # above the threshold, which does not matter
    manual = service.trigger("flights")
    preview = service.trigger("flights", Trigger.PREVIEW)
    retry = service.retry(manual.run.id)
    for triggered in (manual, preview, retry):
        assert (triggered.run.work_pool_name, triggered.run.work_queue_name) == ("autoloader-process-pool", "priority")
    assert [found.run.parameters["mode"] for found in (manual, preview, retry)] == ["load", "preview", "load"]


def test_what_a_person_asked_for_is_claimed_before_what_the_schedule_made(
    service: Service, client: Any, lake, flights: Flights
) -> None:
    lake.put("a.csv", flights("1,UA,5"))
    service.trigger("flights", Trigger.SCHEDULE)
    asked = service.trigger("flights", Trigger.MANUAL)
    pool = "autoloader-process-pool"
    worker = client.register_worker(pool, WorkerRegister(type="process", name="one"))
    reply = client.claim(pool, ClaimRequest(claim_id=uuid4(), worker_id=worker.worker_id, limit=1))
    assert [claim.flow_run.id for claim in reply.claims] == [asked.run.id]
    assert reply.claims[0].work_queue_name == "priority"


def test_large_loads_move_to_kubernetes_by_configuration_alone(
    client: Any, settings: Settings, lake, flights: Flights
) -> None:
    template = {
        "job_configuration": {"image": "{{ image }}", "memory": "{{ memory }}"},
        "variables": {"type": "object", "properties": {"image": {"type": "string"}, "memory": {"type": "string"}}},
    }
    cluster = Pool(
        name="cluster",
        type="kubernetes",
        queue="high-memory",
        base_job_template=template,
        job_variables={"image": "autoloader:2", "memory": "64Gi"},
    )
    service = Service(msgspec.structs.replace(settings, large=cluster), client)
    assert "work pool cluster (type: kubernetes) with image=autoloader:2, memory=64Gi" in list(service.apply())
    lake.put("b.csv", flights(*["1,UA,5"] * 200))
    run = service.trigger("flights", Trigger.SCHEDULE).run
    assert (run.work_pool_name, run.work_queue_name) == ("cluster", "high-memory")
    assert run.job_variables == {"image": "autoloader:2", "memory": "64Gi"}
    assert client.read_work_pool("cluster").type == "kubernetes"


def test_a_scheduled_run_hands_over_once_while_the_other_is_unfinished(service: Service, client: Any) -> None:
    deployment = client.read_deployment_by_name("autoload/flights")
    standard = Place("autoloader-process-pool", "default", {}, "")
    large = Place("autoloader-large-pool", "high-memory", VARIABLES, "")
    own = start(client, deployment, standard, {})
    handed = hand_over(client, own.id, large)
    assert handed is not None
    assert (handed.work_pool_name, handed.parameters["mode"]) == ("autoloader-large-pool", "load")
    later = start(client, deployment, standard, {})
    assert hand_over(client, later.id, large) is None
    client.set_flow_run_state(handed.id, StateCreate(type=StateType.COMPLETED), force=True)
    assert hand_over(client, later.id, large) is not None


def test_an_ingestion_that_was_never_applied_is_named_with_the_remedy(client: SyncClient, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="no deployment autoload/flights yet; run `python -m autoloader apply`"):
        Service(settings, client).trigger("flights")


def test_an_entrypoint_that_leads_nowhere_is_named() -> None:
    with pytest.raises(SettingsError, match=r"entrypoint 'autoloader\.flows:nothing' leads to no flow"):
        service_module.flow_of("autoloader.flows:nothing")


def test_declaring_job_variables_leaves_those_that_are_declared_alone() -> None:
    template = {"job_configuration": {"c": "{{ cpu }}"}, "variables": {"properties": {"cpu": {"type": "string"}}}}
    assert declaring(template, {"cpu": 4}) == template
    assert declaring(template, {"cpu": 4, "gpu": True})["variables"]["properties"]["gpu"]["type"] == "boolean"
