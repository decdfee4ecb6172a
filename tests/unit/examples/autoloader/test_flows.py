"""The flow itself: it loads, previews, decides at each trigger, and hands a large load over to the large pool."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from autoloader.flows import autoload, told
from autoloader.load import Outcome, Status
from autoloader.service import Service
from autoloader.settings import Ingestion, Routing, Settings, as_json

from headway.client.sync import SyncClient
from headway.core.settings import Settings as HeadwaySettings
from headway.wire.states import StateType

Flights = Callable[..., str]
EXAMPLE = Path(__file__).parents[4] / "examples" / "autoloader"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Flows run without a server: on an embedded one, with this home."""
    monkeypatch.delenv("HEADWAY_API_URL", raising=False)
    monkeypatch.setenv("HEADWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[SyncClient]:
    with SyncClient(settings=HeadwaySettings(home=home)) as opened:
        yield opened


def parameters(lake: Any, **routing: Any) -> dict[str, Any]:
    ingestion = Ingestion(name="flights", source=str(lake.source.folder), table="lake.flights")
    return {
        "ingestion": as_json(ingestion),
        "routing": as_json(Routing(**routing)),
        "warehouse": str(lake.target.warehouse),
    }


@pytest.mark.usefixtures("home")
def test_it_loads_what_is_waiting_file_by_file_and_says_so(lake, flights: Flights) -> None:
    lake.put("a.csv", flights("1,UA,5"))
    lake.put("b.csv", flights("2,UA,5", "2"))
    assert autoload(**parameters(lake)) == "2 of 2 files loaded, 2 rows"
    assert autoload(**parameters(lake)) == "0 of 0 files loaded, 0 rows"
    assert (len(lake.rows()), len(lake.rejects())) == (2, 1)


@pytest.mark.usefixtures("home")
def test_a_preview_run_shows_what_would_happen_and_writes_nothing(lake, flights: Flights) -> None:
    lake.put("a.csv", flights("1,UA,5", "2"))
    shown = autoload(**parameters(lake), mode="preview")
    assert "1 rows, 1 would be rejected" in shown
    assert "month long, carrier string, delay long" in shown
    assert not lake.target.warehouse.exists()


def test_a_scheduled_run_that_finds_too_much_hands_over_to_the_large_pool_and_loads_nothing(
    lake, flights: Flights, home: Path, client: Any
) -> None:
    lake.put("a.csv", flights(*["1,UA,5"] * 200))
    ingestion = Ingestion(name="flights", source=str(lake.source.folder), table="lake.flights")
    settings = Settings(warehouse=str(lake.target.warehouse), threshold="1 KB", ingestion=[ingestion])
    list(Service(settings, client).apply())
    deployment = client.read_deployment_by_name("autoload/flights")
    run = client.create_flow_run_from_deployment(deployment.id)  # as the scheduler makes it
    assert (run.work_pool_name, run.parameters["mode"]) == ("autoloader-process-pool", "decide")
    executed = subprocess.run(
        [sys.executable, "-m", "headway.engine", "flow-run", "execute", str(run.id)],
        env={**os.environ, "HEADWAY_HOME": str(home), "PYTHONPATH": str(EXAMPLE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert executed.returncode == 0, executed.stderr
    assert client.read_flow_run(run.id).state_type == StateType.COMPLETED
    [handed] = [found for found in client.read_flow_runs() if found.work_pool_name == "autoloader-large-pool"]
    assert (handed.work_queue_name, handed.parameters["mode"]) == ("high-memory", "load")
    assert handed.state_type == StateType.SCHEDULED
    assert lake.rows() == []


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome("/in/a.csv", Status.LOADED, 5), "a.csv: 5 rows loaded"),
        (
            Outcome("/in/a.csv", Status.LOADED, 5, 2, 1, ("fuel",)),
            "a.csv: 5 rows loaded, 2 rejected, new columns: fuel, conflicts retried: 1",
        ),
        (Outcome("/in/a.csv", Status.ALREADY), "a.csv: already there"),
        (Outcome("/in/a.csv", Status.SET_ASIDE, reason="it has no rows"), "a.csv: set aside: it has no rows"),
    ],
)
def test_each_file_is_told_in_one_line(outcome: Outcome, line: str) -> None:
    assert told(outcome) == line
