"""The user code that is measured: one script of flows per target, and small programs that call them."""

from __future__ import annotations

from pathlib import Path

from bench.targets.base import Target

_FLOWS = '''
import os, pathlib, time
from {package} import flow, task

@flow
def empty():
    pass

@task
def trivial(number):
    return number

@flow
def many(count: int = 1000):
    for number in range(count):
        trivial(number)

def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

@task
def fibonacci_task(n):
    return fibonacci(n)

@flow
def forty():
    for _ in range(40):
        fibonacci_task(10)

@flow(retries=1)
def mortal(folder: str):
    """The first try says its pid and stays until it is killed; a later one ends at once."""
    mark = pathlib.Path(folder) / "pid"
    if mark.exists():
        return
    new = mark.with_suffix(".new")
    new.write_text(str(os.getpid()))
    new.rename(mark)
    time.sleep(600)
'''

_LOOPS = """
import asyncio, json, sys, time
from {package} import flow

@flow
def plain():
    pass

@flow
async def awaited():
    pass

def measure(call, seconds, most):
    for _ in range(3):
        call()
    begun, cpu, calls = time.perf_counter(), time.process_time(), 0
    while calls < most and time.perf_counter() - begun < seconds:
        call()
        calls += 1
    return [1000 * (time.perf_counter() - begun) / calls, 1000 * (time.process_time() - cpu) / calls]

async def measure_awaited(seconds, most):
    for _ in range(3):
        await awaited()
    begun, cpu, calls = time.perf_counter(), time.process_time(), 0
    while calls < most and time.perf_counter() - begun < seconds:
        await awaited()
        calls += 1
    return [1000 * (time.perf_counter() - begun) / calls, 1000 * (time.process_time() - cpu) / calls]

seconds, most = float(sys.argv[1]), int(sys.argv[2])
told = {{"sync": measure(plain, seconds, most), "async": asyncio.run(measure_awaited(seconds, most))}}
print("FIGURES " + json.dumps(told), flush=True)
"""

_TASKS = """
import json, sys, time
from flows import many
from {package} import flow
from {package}.runtime import flow_run

@flow
def measured(count: int):
    from flows import trivial
    for number in range(count):
        trivial(number)
    return str(flow_run.id)

measured(10)
for line in sys.stdin:
    begun, cpu = time.time(), time.process_time()
    run = measured(int(line))
    told = {{"begun": begun, "ended": time.time(), "cpu": time.process_time() - cpu, "run": run}}
    print("FIGURES " + json.dumps(told), flush=True)
"""


def write(target: Target) -> Path:
    """The scripts in the target's home, importing its package; the path of `flows.py`."""
    folder = target.home / "project"
    folder.mkdir(exist_ok=True)
    for name, text in (("flows", _FLOWS), ("loops", _LOOPS), ("tasks", _TASKS)):
        (folder / f"{name}.py").write_text(text.format(package=target.package))
    return folder / "flows.py"
