"""`@flow`: a function whose runs the control plane knows, orchestrates and keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import update_wrapper
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from headway.sdk import retries as delays
from headway.sdk.functions import documentation, is_coroutine_function
from headway.sdk.hooks import HOOKS, Hook, Hooks
from headway.sdk.parameters import Parameters
from headway.sdk.tasks import check_options

if TYPE_CHECKING:
    from headway.sdk.deployments import Deployment
    from headway.sdk.serializers import Serializer
    from headway.sdk.states import State
    from headway.sdk.task_runners import TaskRunner

__all__ = ["Flow", "flow"]

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = (
    "name",
    "description",
    "version",
    "tags",
    "flow_run_name",
    "retries",
    "retry_delay_seconds",
    "retry_jitter_factor",
    "retry_condition_fn",
    "retry_on_crash",
    "timeout_seconds",
    "validate_parameters",
    "log_prints",
    "task_runner",
    "persist_result",
    "result_storage",
    "result_serializer",
)


class Flow(Generic[P, R]):
    """A flow. Call it to run it here; `deploy` or `serve` it to have it run."""

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        tags: Iterable[str] = (),
        flow_run_name: str | Callable[..., str] | None = None,
        retries: int = 0,
        retry_delay_seconds: delays.Delay = None,
        retry_jitter_factor: float | None = None,
        retry_condition_fn: Callable[[Any, Any, State], bool] | None = None,
        retry_on_crash: bool | None = None,
        timeout_seconds: float | None = None,
        validate_parameters: bool = True,
        log_prints: bool | None = None,
        task_runner: TaskRunner | Callable[[], TaskRunner] | None = None,
        persist_result: bool | None = None,
        result_storage: str | None = None,
        result_serializer: str | Serializer | None = None,
        on_running: Sequence[Hook] | None = None,
        on_completion: Sequence[Hook] | None = None,
        on_failure: Sequence[Hook] | None = None,
        on_cancellation: Sequence[Hook] | None = None,
        on_crashed: Sequence[Hook] | None = None,
        entrypoint: str | None = None,
    ) -> None:
        check_options(fn, "flow", retries, timeout_seconds, retry_jitter_factor)
        update_wrapper(self, fn)
        self.fn = fn
        self.is_async = is_coroutine_function(fn)
        self.parameters = Parameters(fn)
        self.name = name or getattr(fn, "__name__", type(fn).__name__).replace("_", "-")
        self._description = description
        self.version = version
        self.tags = frozenset([tags] if isinstance(tags, str) else tags)
        self.flow_run_name = flow_run_name
        self.retries = retries
        self.retry_delay_seconds = retry_delay_seconds
        self.retry_delay = delays.settle(retry_delay_seconds, retries)
        self.retry_jitter_factor = retry_jitter_factor
        self.retry_condition_fn = retry_condition_fn
        self.retry_on_crash = retry_on_crash
        self.timeout_seconds = timeout_seconds
        self.validate_parameters = validate_parameters
        self.log_prints = log_prints
        self.task_runner = task_runner
        self.persist_result = self._persists(result_storage, result_serializer, persist_result)
        self.result_storage = result_storage
        self.result_serializer = result_serializer
        given = (on_running, on_completion, on_failure, on_cancellation, on_crashed)
        self.hooks = Hooks(dict(zip(HOOKS, given, strict=True)))
        self.entrypoint = entrypoint

    @staticmethod
    def _persists(storage: Any, serializer: Any, said: bool | None) -> bool | None:
        if said is None and (storage is not None or serializer is not None):
            return True
        return said

    @property
    def description(self) -> str | None:
        """What was given, or the function's documentation."""
        return self._description or documentation(self.fn)

    def __repr__(self) -> str:
        return f"<Flow {self.name!r}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A flow defined in a class is a method."""
        if instance is None:
            return self
        return self._copy(cast("Callable[..., Any]", self.fn).__get__(instance, owner))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow here and now; an async flow returns a coroutine.

        Inside another flow this is a subflow. `return_state=True` returns the final State instead of the
        value; `wait_for=[…]` names task runs to wait for.
        """
        from headway.sdk.flow_runs import call_flow  # the engine is loaded by the first run

        return cast(R, call_flow(self, args, kwargs))

    def to_deployment(self, name: str, **fields: Any) -> Deployment:
        """A deployment of this flow; `fields` are those of `Deployment`."""
        made: Deployment = _deployments().Deployment(flow=self, name=name, **fields)
        return made

    def deploy(self, name: str, work_pool_name: str, **fields: Any) -> Any:
        """Make or replace a deployment that runs in a work pool; its id (in async code: awaitable).

        `fields` are those of `Deployment`: work_queue_name, parameters, cron, interval, rrule, timezone,
        schedules, tags, job_variables, infrastructure, concurrency_limit, paused, …
        """
        return self.to_deployment(name, work_pool_name=work_pool_name, **fields).apply()

    def serve(self, name: str | None = None, *, limit: int | None = None, **fields: Any) -> None:
        """Run what is due of a deployment in processes beside this one, until SIGINT or SIGTERM."""
        serving = import_module("headway.sdk.serving")
        serving.serve(self.to_deployment(name or self.name, **fields), limit=limit)

    def new_runner(self) -> TaskRunner | None:
        """A task runner for one run, or None for the default."""
        runner = self.task_runner
        if runner is None:
            return None
        return runner() if isinstance(runner, type) or not hasattr(runner, "duplicate") else runner.duplicate()

    def with_options(self, **options: Any) -> Flow[P, R]:
        """A copy with other options (those of `@flow`)."""
        return self._copy(self.fn, **options)

    def _copy(self, fn: Callable[..., Any], **options: Any) -> Flow[Any, Any]:
        unknown = [name for name in options if name not in OPTIONS and name not in HOOKS]
        if unknown:
            raise TypeError(f"@flow has no option {unknown[0]!r}; it has {', '.join((*OPTIONS, *HOOKS))}.")
        same = {name: getattr(self, name) for name in OPTIONS}
        same |= {kind: self.hooks(kind) for kind in HOOKS}
        return Flow(fn, **{**same, "entrypoint": self.entrypoint, **options})

    def on_running(self, hook: Hook) -> Hook:
        return self.hooks.add("on_running", hook)

    def on_completion(self, hook: Hook) -> Hook:
        return self.hooks.add("on_completion", hook)

    def on_failure(self, hook: Hook) -> Hook:
        return self.hooks.add("on_failure", hook)

    def on_cancellation(self, hook: Hook) -> Hook:
        return self.hooks.add("on_cancellation", hook)

    def on_crashed(self, hook: Hook) -> Hook:
        return self.hooks.add("on_crashed", hook)


def _deployments() -> Any:
    """Loaded when something is deployed; it needs flows itself."""
    return import_module("headway.sdk.deployments")


@overload
def flow(__fn: Callable[P, R]) -> Flow[P, R]: ...


@overload
def flow(__fn: None = None, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(__fn: Any = None, **options: Any) -> Any:
    """Make a flow of a function: `@flow` or `@flow(retries=2, …)`.

    Options: name, description, version, tags, flow_run_name, retries, retry_delay_seconds (number, list or
    function), retry_jitter_factor, retry_condition_fn(flow, run, state), retry_on_crash, timeout_seconds,
    validate_parameters, log_prints, task_runner, persist_result, result_storage, result_serializer, and the
    hooks on_running, on_completion, on_failure, on_cancellation, on_crashed. Durations are seconds.
    """
    if __fn is not None:
        return Flow(__fn, **options)

    def decorate(fn: Callable[..., Any]) -> Flow[Any, Any]:
        return Flow(fn, **options)

    return decorate
