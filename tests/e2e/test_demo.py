"""`make demo`: the story ends well; with a data file deleted or doubled it ends badly; nothing is left running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from headway.testing.waiting import eventually

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "autoloader"
MARK = "AUTOLOADER_DEMO_TEST"
pytestmark = pytest.mark.timeout(400)  # a whole demo each, on a machine that runs other tests meanwhile
STARTS = "server", "worker-default", "worker-priority", "worker-large"

DOUBLE = """
import pathlib, shutil
from autoloader.lake import Target, look
warehouse = pathlib.Path("warehouse").resolve()
original = next((warehouse / "lake" / "flights" / "data").glob("*.parquet"))
copy = pathlib.Path(shutil.copy(original, original.with_name("doubled.parquet")))
look(Target(warehouse, "lake.flights"))[0].add_files([copy.as_uri()])
"""


class Demo:
    """The command that `make demo` runs, in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = f"{MARK}={folder}"
        command = [sys.executable, "-m", "autoloader.demo", "--folder", str(folder), *arguments]
        env = {**os.environ, MARK: str(folder), "PYTHONPATH": str(EXAMPLE)}
        self.process = subprocess.Popen(
            command, cwd=EXAMPLE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def end(self) -> tuple[int, str]:
        """Exit code and output."""
        try:
            output, _ = self.process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output

    def ended(self) -> bool:
        return self.process.poll() is not None

    def left(self) -> list[str]:
        """Command lines of processes that it started, or that were started by those, and that still run."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark.partition("=")[2]:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


def test_make_demo_runs_the_demo_and_passes_on_what_it_is_given() -> None:
    # Without what a make around the tests hands down: it would add lines of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", "demo", "DEMO_ARGS=--before-count x"]
    dry = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert dry.stdout.splitlines()[-1].endswith("-m autoloader.demo --folder ../../.demo --before-count x")


def test_the_demo_shows_routing_rejects_conflicts_crash_and_recovery_and_the_count_is_right(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo")
    code, output = demo.end()
    assert code == 0, output
    assert "Everything is right" in output
    summer = next(line for line in output.splitlines() if line.strip().startswith("flights-summer"))
    assert "3 files" in summer
    assert summer.endswith("autoloader-large-pool/high-memory")
    assert "preview: served first" in output
    assert "row 5768: expected 19 fields, found 6" in output
    assert "dep_delay 'late' is not a whole number" in output
    assert "new columns: carrier_name" in output
    assert "found that another run was first" in output
    assert "of 3 files committed (flights-2013-10.csv.gz" in output
    assert "Running > Crashed > AwaitingRetry > Pending > Running > Completed" in output
    assert "total 336,776   duplicates 0   rejects 4" in output
    assert demo.left() == []


@pytest.mark.parametrize(
    ("name", "command", "complaint"),
    [
        ("deleted", "rm $(ls warehouse/lake/flights/data/*.parquet | head -n 1)", "the tables cannot be read"),
        ("doubled", f"{sys.executable} -c '{DOUBLE}'", "duplicates: 2"),
    ],
)
def test_with_a_data_file_deleted_or_doubled_the_demo_exits_non_zero(
    tmp_path: Path, name: str, command: str, complaint: str
) -> None:
    demo = Demo(tmp_path / name, "--before-count", command)
    code, output = demo.end()
    assert code == 1, output
    assert f"WRONG: {complaint}" in output
    assert "Something is WRONG" in output


def test_ctrl_c_stops_everything_that_was_started(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo")
    try:
        attempts = tmp_path / "demo" / "home" / "attempts"
        eventually(lambda: demo.ended() or list(attempts.glob("*/*/started.json")), 100, "a run to be started")
        assert len(demo.left()) > 1 + len(STARTS)
        demo.process.send_signal(signal.SIGINT)
    finally:
        code, output = demo.end()
    assert code == 130, output
    assert "everything that was started has been stopped" in output
    assert demo.left() == []


def test_the_demo_deletes_nothing_that_it_has_not_made(tmp_path: Path) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("years of work")
    code, output = Demo(tmp_path).end()
    assert code == 1
    assert f"{tmp_path} has files that no demo made; name a new or an empty --folder" in output
    assert mine.read_text() == "years of work"
