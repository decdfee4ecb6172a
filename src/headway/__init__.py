"""Headway runs Python workflows on infrastructure you already have.

Everything is loaded on first use: `import headway` and `from headway import flow, task` are light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from headway import runtime as runtime
    from headway.client.client import Client as Client
    from headway.client.schedules import CronSchedule as CronSchedule
    from headway.client.schedules import IntervalSchedule as IntervalSchedule
    from headway.client.schedules import RRuleSchedule as RRuleSchedule
    from headway.client.sync import SyncClient as SyncClient
    from headway.client.sync import get_client as get_client
    from headway.drivers.process.settings import Process as Process
    from headway.sdk.context import tags as tags
    from headway.sdk.deployments import Deployment as Deployment
    from headway.sdk.deployments import run_deployment as run_deployment
    from headway.sdk.flows import Flow as Flow
    from headway.sdk.flows import flow as flow
    from headway.sdk.futures import TaskFuture as TaskFuture
    from headway.sdk.futures import allow_failure as allow_failure
    from headway.sdk.futures import as_completed as as_completed
    from headway.sdk.futures import unmapped as unmapped
    from headway.sdk.futures import wait as wait
    from headway.sdk.logs import get_run_logger as get_run_logger
    from headway.sdk.pauses import pause_flow_run as pause_flow_run
    from headway.sdk.pauses import resume_flow_run as resume_flow_run
    from headway.sdk.pauses import suspend_flow_run as suspend_flow_run
    from headway.sdk.processes import ProcessPoolTaskRunner as ProcessPoolTaskRunner
    from headway.sdk.proposals import state_of as state_of
    from headway.sdk.retries import exponential_backoff as exponential_backoff
    from headway.sdk.run_inputs import RunInput as RunInput
    from headway.sdk.serving import serve as serve
    from headway.sdk.states import State as State
    from headway.sdk.task_runners import TaskRunner as TaskRunner
    from headway.sdk.task_runners import ThreadPoolTaskRunner as ThreadPoolTaskRunner
    from headway.sdk.tasks import Task as Task
    from headway.sdk.tasks import task as task

_HOMES = {
    "client.client": "Client",
    "client.schedules": "CronSchedule IntervalSchedule RRuleSchedule",
    "client.sync": "SyncClient get_client",
    "sdk.cache_policies": "CachePolicy DEFAULT FLOW_PARAMETERS INPUTS NO_CACHE NONE RUN_ID TASK_SOURCE",
    "sdk.context": "tags",
    "drivers.process.settings": "Process",
    "sdk.deployments": "Deployment run_deployment",
    "sdk.flows": "Flow flow",
    "sdk.futures": "TaskFuture allow_failure as_completed unmapped wait",
    "sdk.logs": "get_run_logger",
    "sdk.pauses": "pause_flow_run resume_flow_run suspend_flow_run",
    "sdk.processes": "ProcessPoolTaskRunner",
    "sdk.results": "ResultStore",
    "sdk.retries": "exponential_backoff",
    "sdk.proposals": "state_of",
    "sdk.run_inputs": "RunInput",
    "sdk.serializers": "CompressedSerializer JSONSerializer PickleSerializer",
    "sdk.serving": "serve",
    "sdk.states": "State Completed Failed Crashed Cancelled Running Pending Scheduled Paused",
    "sdk.task_runners": "TaskRunner ThreadPoolTaskRunner",
    "sdk.tasks": "Task task",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = ("runtime",)

__all__ = ["__version__", *_MODULES, *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"headway.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    import_module("headway.sdk.uncaught").install()
    value = getattr(import_module(f"headway.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
