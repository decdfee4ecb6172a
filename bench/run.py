"""One run: every row on every target, round by round, then the table and the JSON."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import machine
from bench.durability import NotDurable
from bench.postgres import BenchCluster
from bench.report import Results, lay_out, table
from bench.rows.base import Row, Scale
from bench.targets.base import BenchError, Target
from bench.targets.headway import HeadwayTarget
from bench.targets.prefect import PrefectTarget

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    rows: list[Row]
    databases: tuple[str, ...] = ("sqlite",)
    peer: bool = False
    rounds: int = 1
    quick: bool = False
    save: bool = True
    note: str = ""
    source: Path | None = None
    """A checkout to measure instead of this one."""


@dataclass
class Record:
    """Everything that goes into the JSON beside the samples."""

    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    durability: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """Settings that differ from what each system ships with."""


def run(plan: Plan) -> Results:
    """Measure, print, save; what is measured so far is saved after each row. NotDurable if commits are not durable."""
    results, record = Results(), Record()
    described = machine.describe()
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{described['commit']}.json"
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        makers = Makers(plan, stack)
        for round_ in range(1, plan.rounds + 1):
            for row in plan.rows:
                for label in makers.labels(row):
                    _measure(row, makers, label, plan, results, record, f"round {round_}/{plan.rounds}")
                    if plan.save:
                        _save(path, plan, results, record, described)
    print()
    print_report(plan.rows, results)
    _print_durability(record)
    load = described["load_average"][0]
    print(f"{time.perf_counter() - begun:.0f} s on {described['cores']} cores, load before {load:.1f}")
    print(f"while a row was measured, other programs used up to {results.busiest():.0f} % of the machine")
    if plan.save:
        print(f"raw samples: {path}")
    return results


def print_report(rows: Iterable[Row], results: Results) -> None:
    """The table and what failed."""
    print(lay_out(table(rows, results, results.labels())))
    for (name, label), reasons in results.failures.items():
        print(f"failed {len(reasons)} times: {name} on {label}: {reasons[-1]}")


def show(path: Path, rows: Iterable[Row]) -> None:
    """Print the table of a saved run again."""
    document = json.loads(path.read_text())
    results = Results()
    for one in document["samples"]:
        results.samples[one["row"], one["line"], one["target"]] = one["samples"]
    for one in document["failures"]:
        results.failures[one["row"], one["target"]] = one["reasons"]
    print_report(rows, results)
    print(f"durability: {json.dumps(document['durability'])}")


class Makers:
    """Makes the target of a label, with a home and a database of its own."""

    def __init__(self, plan: Plan, stack: contextlib.ExitStack) -> None:
        self._plan = plan
        self._cluster = stack.enter_context(BenchCluster()) if "postgresql" in plan.databases else None

    def all_labels(self) -> list[str]:
        names = ("headway", "prefect") if self._plan.peer else ("headway",)
        return [f"{name}-{database}" for name in names for database in self._plan.databases]

    def labels(self, row: Row) -> list[str]:
        """On what the row is measured, ours and the reference's alternating."""
        return [
            label
            for database in self._plan.databases
            for label in (f"headway-{database}", f"prefect-{database}")
            if label in self.all_labels()
            and database in (row.databases if label.startswith("headway") else row.peer_databases)
        ]

    @contextlib.contextmanager
    def make(self, label: str) -> Iterator[Target]:
        home = Path(tempfile.mkdtemp(prefix="headway-bench-"))
        cluster = self._cluster if label.endswith("postgresql") else None
        target: Target
        if label.startswith("headway"):
            target = HeadwayTarget(home, cluster, self._plan.source)
        else:
            target = PrefectTarget(home, cluster)
        try:
            yield target
        finally:
            target.remove()
            shutil.rmtree(home, ignore_errors=True)


def _measure(row: Row, makers: Makers, label: str, plan: Plan, results: Results, record: Record, when: str) -> None:
    begun, others = time.perf_counter(), machine.Others()
    print(f"{when} {row.name} on {label} … ", end="", flush=True)
    with makers.make(label) as target:
        try:
            if row.started:
                target.start()
                _note(target, record)
            figures = row.measure(target, Scale(plan.quick))
            _note(target, record)
        except NotDurable:
            raise
        except Exception as error:  # one row that breaks is a row that is missed; the others still count
            reason = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
            results.fail(row.name, label, reason)
            print(f"failed: {reason}", flush=True)
            return
    results.add(row.name, label, figures)
    results.others.setdefault((row.name, label), []).append(others.percent())
    told = ", ".join(f"{line.title} {figures[line.key]:.4g} {line.unit}" for line in row.lines if line.key in figures)
    share = results.others[row.name, label][-1]
    print(f"{time.perf_counter() - begun:.0f} s, others {share:.0f} %: {told}", flush=True)


def _note(target: Target, record: Record) -> None:
    """Versions, settings and durability of the running server. NotDurable if its commits are not."""
    if target.server is None:
        return
    told = target.durability()
    if target.label not in record.durability:
        record.versions[target.label] = target.versions()
        syncs = target.syncs_per_commit()
        record.durability[target.label] = {**told, "syncs per commit, by strace": syncs}
    record.settings[target.label] = target.changed_settings()


def _print_durability(record: Record) -> None:
    for label, told in record.durability.items():
        print(f"durability of {label}: {json.dumps(told)}; settings changed: {json.dumps(record.settings[label])}")


def _save(path: Path, plan: Plan, results: Results, record: Record, described: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    document = {
        "note": plan.note,
        "machine": described,
        "source": "another checkout" if plan.source else "this checkout",
        "rounds": plan.rounds,
        "quick": plan.quick,
        "versions": record.versions,
        "settings_changed": record.settings,
        "durability": record.durability,
        "samples": [
            {"row": row, "line": key, "target": label, "samples": values}
            for (row, key, label), values in results.samples.items()
        ],
        "others_percent": [
            {"row": row, "target": label, "samples": values} for (row, label), values in results.others.items()
        ],
        "failures": [{"row": row, "target": label, "reasons": why} for (row, label), why in results.failures.items()],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
