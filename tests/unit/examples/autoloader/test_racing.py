"""Two loaders in two real processes, on one file, and one that is killed in the middle."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Flights = Callable[..., str]
EXAMPLE = Path(__file__).parents[4] / "examples" / "autoloader"

LOADER = """
import sys
from pathlib import Path
from autoloader.commit import Hooks
from autoloader.lake import Target
from autoloader.load import Source, load_file

def wait(identity):
    print("at the commit", flush=True)
    sys.stdin.readline()

folder, warehouse, *names = sys.argv[1:]
source, target = Source(Path(folder)), Target(Path(warehouse), "lake.flights")
for name in names:
    outcome = load_file(source.folder / name, source, target, Hooks(before_commit=wait))
    print(outcome.status.value, outcome.rows, outcome.conflicts, flush=True)
"""


@contextmanager
def loader(lake, *names: str) -> Iterator[subprocess.Popen[str]]:
    """A process that stops before each commit until it is given a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOADER, str(lake.source.folder), str(lake.target.warehouse), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_two_loaders_racing_on_one_file_exactly_one_brings_it(lake, flights: Flights) -> None:
    lake.put("jan.csv", flights(*[f"1,UA,{n}" for n in range(500)]))
    with loader(lake, "jan.csv") as one, loader(lake, "jan.csv") as two:
        assert [said(one), said(two)] == ["at the commit"] * 2  # both have looked, neither has found it
        go(one)
        go(two)
        last = []
        for process in (one, two):
            while (line := said(process)) == "at the commit":
                go(process)
            last.append(line.rsplit(" ", 1)[0])
    assert sorted(last) == ["already there 0", "loaded 500"]
    assert sorted(row["_source_row"] for row in lake.rows()) == list(range(2, 502))


def test_two_loaders_committing_different_files_at_once_both_bring_theirs(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    lake.put("feb.csv", flights("2,UA,5"))
    lake.put("mar.csv", flights("3,UA,5"))
    with loader(lake, "feb.csv") as one, loader(lake, "mar.csv") as two:
        assert [said(one), said(two)] == ["at the commit"] * 2
        go(one)
        assert said(one) == "loaded 1 0"
        go(two)
        assert said(two) == "at the commit"  # again, after the conflict
        go(two)
        assert said(two) == "loaded 1 1"
    assert sorted(row["month"] for row in lake.rows()) == [1, 2, 3]


@pytest.mark.parametrize("committed", [0, 1])
def test_a_loader_that_is_killed_leaves_nothing_half_done_and_the_next_one_finishes(
    lake, flights: Flights, committed: int
) -> None:
    names = ["jan.csv", "feb.csv"]
    for month, name in enumerate(names, 1):
        lake.put(name, flights(f"{month},UA,5"))
    with loader(lake, *names) as process:
        for _ in range(committed):
            assert said(process) == "at the commit"
            go(process)
            assert said(process) == "loaded 1 0"
        assert said(process) == "at the commit"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    assert len(lake.rows()) == committed
    for name in names:
        lake.load(lake.source.folder / name)
    assert sorted(row["month"] for row in lake.rows()) == [1, 2]
