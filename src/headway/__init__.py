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
    from headway.sdk.context import tags as tags
    from headway.sdk.flows import Flow as Flow
    from headway.sdk.flows import flow as flow
    from headway.sdk.futures import TaskFuture as TaskFuture
    from headway.sdk.futures import allow_failure as allow_failure
    from headway.sdk.futures import as_completed as as_completed
    from headway.sdk.futures import unmapped as unmapped
    from headway.sdk.futures import wait as wait
    from headway.sdk.logs import get_run_logger as get_run_logger
    from headway.sdk.processes import ProcessPoolTaskRunner as ProcessPoolTaskRunner
    from headway.sdk.retries import exponential_backoff as exponential_backoff
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
    "sdk.flows": "Flow flow",
    "sdk.futures": "TaskFuture allow_failure as_completed unmapped wait",
    "sdk.logs": "get_run_logger",
    "sdk.processes": "ProcessPoolTaskRunner",
    "sdk.results": "ResultStore",
    "sdk.retries": "exponential_backoff",
    "sdk.serializers": "CompressedSerializer JSONSerializer PickleSerializer",
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
    value = getattr(import_module(f"headway.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
