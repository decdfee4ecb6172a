"""Starting up and being at rest: server, worker, imports, commands."""

from __future__ import annotations

import resource
import statistics
import time

from bench import flows, processes
from bench.rows.base import Line, Row, Samples, Scale
from bench.rows.runs import run_once
from bench.rows.tasks import quiet_from
from bench.setup import POOL, deployed
from bench.targets.base import Target


def idle_cpu(target: Target, seconds: float) -> float:
    """Server CPU at rest, in per cent of one core."""
    before, begun = target.server_cpu(), time.perf_counter()
    time.sleep(seconds)
    return 100 * (target.server_cpu() - before) / (time.perf_counter() - begun)


def _server(target: Target, scale: Scale) -> Samples:
    fresh, fresh_cpu = target.start(), target.server_cpu()
    starts = []
    for _ in range(scale.count(3, 1)):
        target.stop()
        starts.append(target.start())
    start_cpu = target.server_cpu()
    time.sleep(3)
    cpu = idle_cpu(target, scale.of(15, 5))
    memory = processes.rss_mb(processes.tree(target.server_pid))
    return {
        "exists_s": statistics.median(starts),
        "exists_cpu_s": start_cpu,
        "fresh_s": fresh,
        "fresh_cpu_s": fresh_cpu,
        "rss_mb": memory,
        "cpu_percent": cpu,
    }


def _worker(target: Target, scale: Scale) -> Samples:
    deployment = deployed(target, flow_name="empty", script=flows.write(target))
    worker = target.worker(POOL)
    run_once(target, deployment)
    quiet_from(target)
    time.sleep(2)
    server = set(processes.tree(target.server_pid))
    ours = [pid for pid in processes.having(str(target.home)) if pid not in server]
    before = sum(processes.cpu_seconds(pid) for pid in (worker.pid,))
    begun = time.perf_counter()
    time.sleep(scale.of(10, 4))
    cpu = 100 * (processes.cpu_seconds(worker.pid) - before) / (time.perf_counter() - begun)
    return {"pss_mb": processes.pss_mb(ours), "processes": len(ours), "cpu_percent": cpu}


def timed(target: Target, command: list[str], times: int) -> tuple[float, float]:
    """Median wall time and mean CPU time of a command, both in ms."""
    took = []
    before = _children()
    for _ in range(times):
        begun = time.perf_counter()
        target.run(command)
        took.append(1000 * (time.perf_counter() - begun))
    return statistics.median(took), 1000 * (_children() - before) / times


def _children() -> float:
    """CPU seconds of children that have ended; a running server is none of them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_mb(target: Target, statement: str) -> float:
    """Peak resident memory of a Python that runs one statement; asked from inside, because a child's usage
    begins with that of its parent."""
    status = target.run([str(target.python), "-c", f"{statement}; print(open('/proc/self/status').read())"])
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _commands(target: Target, scale: Scale) -> Samples:
    times = scale.count(9, 5)
    python = str(target.python)
    statement = f"from {target.package} import flow, task"
    bare, bare_cpu = timed(target, [python, "-c", "pass"], times)
    imported, imported_cpu = timed(target, [python, "-c", statement], times)
    version, version_cpu = timed(target, target.command("--version"), times)
    listed, listed_cpu = timed(target, target.command("work-pool", "ls"), times)
    return {
        "import_ms": imported - bare,
        "import_cpu_ms": imported_cpu - bare_cpu,
        "process_ms": imported,
        "import_mb": peak_mb(target, statement),
        "bare_mb": peak_mb(target, "pass"),
        "version_ms": version,
        "version_cpu_ms": version_cpu,
        "ls_ms": listed,
        "ls_cpu_ms": listed_cpu,
    }


ROWS = (
    Row(
        "server",
        (
            Line("exists_s", "server start → healthy, database exists", "s", "less", "3.7", 0.8, 0.5),
            Line("exists_cpu_s", "its CPU", "s"),
            Line("fresh_s", "server start → healthy, fresh", "s", "less", "11", 1.5),
            Line("fresh_cpu_s", "its CPU", "s"),
            Line("rss_mb", "server at rest, RSS", "MB", "less", "200–234", 90, 60),
            Line("cpu_percent", "server at rest, CPU", "%", "less", "1.7", 1),
        ),
        _server,
        started=False,
    ),
    Row(
        "worker",
        (
            Line("pss_mb", "idle process worker and its template, PSS", "MB", "less", "101 (no template)", 60, 45),
            Line("processes", "processes of the worker", ""),
            Line("cpu_percent", "worker at rest, CPU", "%"),
        ),
        _worker,
    ),
    Row(
        "commands",
        (
            Line("import_ms", "from headway import flow, task", "ms", "less", "1,100", 60),
            Line("import_cpu_ms", "its CPU", "ms"),
            Line("process_ms", "the same, with starting Python", "ms"),
            Line("import_mb", "its process, peak RSS", "MB", "less", "82", 30),
            Line("bare_mb", "of that Python alone", "MB"),
            Line("version_ms", "--version", "ms", "less", "1,700", 120),
            Line("version_cpu_ms", "its CPU", "ms"),
            Line("ls_ms", "work-pool ls", "ms", "less", "1,900", 250),
            Line("ls_cpu_ms", "its CPU", "ms"),
        ),
        _commands,
    ),
)
