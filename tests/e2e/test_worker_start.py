"""How a worker starts: it registers, says what it serves, and refuses what cannot work (issue, section 4)."""

from __future__ import annotations

import re
import signal
import sys
from typing import Any

import pytest

from headway.client import SyncClient
from headway.core.settings import Settings
from headway.testing.processes import Place
from headway.wire.work_pools import WorkPoolCreate
from headway.wire.work_queues import WorkQueueCreate

TEMPLATE = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {}}}}


def online(api: SyncClient, pool: str) -> list[Any]:
    return [worker for worker in api.read_workers(pool) if worker.status == "ONLINE"]


def test_a_worker_takes_the_pools_type_and_says_what_it_serves(site: Place, api: SyncClient) -> None:
    api.create_work_pool(WorkPoolCreate(name="local", type="process"))
    api.create_work_queue("local", WorkQueueCreate(name="high", priority=1))
    worker = site.worker("local", "--name", "w1", "--work-queue", "high", "--limit", "3")
    said = worker.wait_for(r"registered with id ([0-9a-f-]{36})")
    assert worker.out[:4] == [
        "Worker type: process",
        "Work pool: local",
        "Work queue: high",
        f"Connected to {site.url}",
    ]
    (registered,) = online(api, "local")
    assert str(registered.id) == said.group(1)
    assert (registered.name, registered.type) == ("w1", "process")
    assert (registered.work_queues, registered.limit) == (["high"], 3)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert online(api, "local") == []


def test_without_named_queues_it_serves_all(site: Place, api: SyncClient) -> None:
    api.create_work_pool(WorkPoolCreate(name="local", type="process"))
    worker = site.worker("local")
    assert "Work queue: all (default)" in worker.out


def test_a_worker_of_another_type_is_refused_before_any_poll(place: Place) -> None:
    server = place.server(server_access_log="on")
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        api.create_work_pool(WorkPoolCreate(name="k8s", type="kubernetes", base_job_template=TEMPLATE))
    worker = place.worker("k8s", "--type", "process", wait=False)
    assert worker.wait() == 1
    assert worker.err == [
        "WorkerTypeNotSupportedError: Worker type 'process' is not compatible with work pool type 'kubernetes'. "
        "Worker type must be 'kubernetes'.",
        "Worker failed to start.",
    ]
    server.stop()
    assert re.search(r"POST /api/work_pools/k8s/workers\b", server.text)
    assert not re.search(r"/claim|/renew|get_scheduled_flow_runs|heartbeat", server.text)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nowhere",), "Work pool 'nowhere' not found"),
        (("k8s",), "No driver is installed for type 'kubernetes'; installed types: process"),
        (("local", "--work-queue", "hihg"), "hihg"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_1(
    site: Place, api: SyncClient, arguments: tuple[str, ...], expected: str
) -> None:
    api.create_work_pool(WorkPoolCreate(name="local", type="process"))
    api.create_work_pool(WorkPoolCreate(name="k8s", type="kubernetes", base_job_template=TEMPLATE))
    worker = site.worker(*arguments, wait=False)
    assert worker.wait() == 1
    assert expected in worker.err[0]
    assert worker.err[1:] == ["Worker failed to start."]
    assert "Traceback" not in worker.text


def test_a_name_that_is_live_is_refused_from_this_and_from_another_home(
    site: Place, api: SyncClient, tmp_path: Any
) -> None:
    api.create_work_pool(WorkPoolCreate(name="local", type="process"))
    site.worker("local", "--name", "twin")
    with Place(tmp_path / "elsewhere") as elsewhere:
        elsewhere.url = site.url
        for place in (site, elsewhere):
            second = place.worker("local", "--name", "twin", wait=False)
            assert second.wait() == 1
            assert second.err[0].startswith("WorkerNameTakenError: A worker named 'twin' is already online")
            assert second.err[-1] == "Worker failed to start."
    assert len(online(api, "local")) == 1


def test_an_unwritable_home_is_one_line(site: Place, api: SyncClient) -> None:
    api.create_work_pool(WorkPoolCreate(name="local", type="process"))
    (site.home / "workers").write_text("a file where a folder should be")
    worker = site.worker("local", wait=False)
    assert worker.wait() == 1
    assert "HEADWAY_HOME" in worker.err[0]
    assert "Traceback" not in worker.text


def test_a_worker_waits_for_a_server_that_is_not_up_yet(place: Place) -> None:
    server = place.server()
    with SyncClient(place.url, settings=Settings(home=place.home)) as api:
        api.create_work_pool(WorkPoolCreate(name="local", type="process"))
        server.stop()
        worker = place.worker("local", wait=False)
        worker.wait_for(r"No server answers at .* Trying again in")
        place.server(port=server.port)
        worker.wait_for("registered with id")
        assert len(online(api, "local")) == 1


def test_a_worker_that_waits_for_a_server_can_be_told_to_stop(place: Place) -> None:
    place.url = "http://127.0.0.1:9/api"
    worker = place.worker("local", wait=False)
    worker.wait_for("Trying again in")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_the_installed_types_are_listed(place: Place) -> None:
    assert "process" in place.run("worker-type", "ls").out
    code = (
        "from headway.drivers.registry import known_types; assert 'process' in known_types()\n"
        "import sys; assert 'headway.drivers.process' not in sys.modules"
    )
    assert place.program(sys.executable, "-c", code).wait() == 0
