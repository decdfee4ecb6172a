"""`@task`: a function whose calls are recorded, retried, cached and run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from headway.core.errors import ParameterError
from headway.sdk import retries as delays
from headway.sdk.cache_policies import DEFAULT, NO_CACHE, CachePolicy, FunctionPolicy
from headway.sdk.functions import documentation, is_coroutine_function
from headway.sdk.hooks import HOOKS, Hook, Hooks
from headway.sdk.parameters import Parameters

if TYPE_CHECKING:
    from datetime import timedelta

    from headway.sdk.futures import TaskFuture, TaskFutureList
    from headway.sdk.serializers import Serializer
    from headway.sdk.states import State

__all__ = ["Task", "task"]

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS = (
    "name",
    "description",
    "version",
    "tags",
    "retries",
    "retry_delay_seconds",
    "retry_jitter_factor",
    "retry_condition_fn",
    "timeout_seconds",
    "log_prints",
    "validate_parameters",
    "cache_policy",
    "cache_key_fn",
    "cache_expiration",
    "refresh_cache",
    "persist_result",
    "result_storage",
    "result_serializer",
    "result_storage_key",
    "task_run_name",
)


class Task(Generic[P, R]):
    """A task. Call it inside a flow (or outside), `submit` it for a future, `map` it over iterables."""

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        tags: Iterable[str] = (),
        retries: int = 0,
        retry_delay_seconds: delays.Delay = None,
        retry_jitter_factor: float | None = None,
        retry_condition_fn: Callable[[Any, Any, State], bool] | None = None,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
        validate_parameters: bool = True,
        cache_policy: CachePolicy | None = None,
        cache_key_fn: Callable[[Any, dict[str, Any]], str | None] | None = None,
        cache_expiration: timedelta | None = None,
        refresh_cache: bool = False,
        persist_result: bool | None = None,
        result_storage: str | None = None,
        result_serializer: str | Serializer | None = None,
        result_storage_key: str | None = None,
        task_run_name: str | Callable[..., str] | None = None,
        on_running: Sequence[Hook] | None = None,
        on_completion: Sequence[Hook] | None = None,
        on_failure: Sequence[Hook] | None = None,
        on_cancellation: Sequence[Hook] | None = None,
        on_crashed: Sequence[Hook] | None = None,
    ) -> None:
        check_options(fn, "task", retries, timeout_seconds, retry_jitter_factor)
        update_wrapper(self, fn)
        self.fn = fn
        self.is_async = is_coroutine_function(fn)
        self.parameters = Parameters(fn)
        self.name = name or getattr(fn, "__name__", type(fn).__name__)
        self._description = description
        self.version = version
        self.tags = frozenset([tags] if isinstance(tags, str) else tags)
        self.retries = retries
        self.retry_delay_seconds = retry_delay_seconds
        self.retry_delay = delays.settle(retry_delay_seconds, retries)
        self.retry_jitter_factor = retry_jitter_factor
        self.retry_condition_fn = retry_condition_fn
        self.timeout_seconds = timeout_seconds
        self.log_prints = log_prints
        self.validate_parameters = validate_parameters
        self.cache_policy = cache_policy
        self.cache_key_fn = cache_key_fn
        self.cache_expiration = cache_expiration
        self.refresh_cache = refresh_cache
        self.result_storage = result_storage
        self.result_serializer = result_serializer
        self.result_storage_key = result_storage_key
        self.task_run_name = task_run_name
        self.persist_result = self._persists() if persist_result is None else persist_result
        given = (on_running, on_completion, on_failure, on_cancellation, on_crashed)
        self.hooks = Hooks(dict(zip(HOOKS, given, strict=True)))
        self.policy = {
            "retries": retries,
            "retry_delay": delays.wire_delay(self.retry_delay),
            "retry_jitter_factor": retry_jitter_factor,
        }

    def _persists(self) -> bool | None:
        """Whether the options ask for kept results without saying so; None leaves it to the setting."""
        wanted = (self.cache_key_fn, self.result_storage, self.result_serializer, self.result_storage_key)
        asked = any(option is not None for option in wanted) or self.cache_expiration is not None
        policy = self.cache_policy is not None and self.cache_policy is not NO_CACHE
        return True if asked or policy else None

    def policy_for(self, persist: bool) -> CachePolicy | None:
        """The cache policy in force; without kept results there is nothing to find again."""
        if not persist:
            return None
        if self.cache_key_fn is not None:
            return FunctionPolicy(self.cache_key_fn)
        if self.cache_policy is not None:
            return None if self.cache_policy is NO_CACHE else self.cache_policy
        return None if self.result_storage_key is not None else DEFAULT

    @cached_property
    def task_key(self) -> str:
        """The same for the same code, in every process."""
        return _task_key(self.fn)

    @property
    def description(self) -> str | None:
        """What was given, or the function's documentation."""
        return self._description or documentation(self.fn)

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A task defined in a class is a method."""
        if instance is None:
            return self
        return self._copy(cast("Callable[..., Any]", self.fn).__get__(instance, owner))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the task here and now; an async task returns a coroutine.

        `return_state=True` returns the final State instead; `wait_for=[…]` names further upstreams.
        """
        from headway.sdk.task_runs import call_task  # the engine is loaded by the first run

        return cast(R, call_task(self, args, kwargs))

    def submit(self, *args: Any, **kwargs: Any) -> TaskFuture[Any]:
        """Run the task in the flow's task runner; returns a future at once."""
        from headway.sdk.task_runs import submit_task  # the engine is loaded by the first run

        future: TaskFuture[Any] = submit_task(self, args, kwargs)
        return future

    def map(self, *args: Any, **kwargs: Any) -> TaskFutureList[Any]:
        """One task run per element of the iterables given (all of one length).

        Texts, dicts and what is not iterable go to every run, as does `unmapped(value)`.
        """
        from headway.sdk.task_runs import map_task  # the engine is loaded by the first run

        return map_task(self, args, kwargs)

    def with_options(self, **options: Any) -> Task[P, R]:
        """A copy with other options (those of `@task`)."""
        return self._copy(self.fn, **options)

    def _copy(self, fn: Callable[..., Any], **options: Any) -> Task[Any, Any]:
        unknown = [name for name in options if name not in OPTIONS and name not in HOOKS]
        if unknown:
            raise TypeError(f"@task has no option {unknown[0]!r}.")
        same = {name: getattr(self, name) for name in OPTIONS}
        same |= {kind: self.hooks(kind) for kind in HOOKS}
        return Task(fn, **{**same, **options})

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


def check_options(
    fn: Any, kind: str, retries: int, timeout_seconds: float | None, retry_jitter_factor: float | None = None
) -> None:
    """One clear line for options that mean nothing."""
    if not callable(fn):
        raise TypeError(f"@{kind} decorates functions, not {type(fn).__name__}.")
    if isinstance(fn, classmethod | staticmethod):
        raise TypeError(f"Put @staticmethod or @classmethod above @{kind}, not below it.")
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ParameterError(f"retries must be a whole number of at least 0, not {retries!r}.")
    if timeout_seconds is not None and not timeout_seconds > 0:
        raise ParameterError(f"timeout_seconds must be more than 0, not {timeout_seconds!r}.")
    if retry_jitter_factor is not None and retry_jitter_factor < 0:
        raise ParameterError(f"retry_jitter_factor must be at least 0, not {retry_jitter_factor!r}.")


def _task_key(fn: Callable[..., Any]) -> str:
    """Name and a digest of the bytecode."""
    import hashlib  # only runs need keys

    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    code = getattr(fn, "__code__", None)
    digest = hashlib.sha256(f"{fn.__module__}.{name}".encode())
    if code is not None:
        digest.update(code.co_code)
    return f"{name}-{digest.hexdigest()[:8]}"


@overload
def task(__fn: Callable[P, R]) -> Task[P, R]: ...


@overload
def task(__fn: None = None, **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(__fn: Any = None, **options: Any) -> Any:
    """Make a task of a function: `@task` or `@task(retries=3, …)`.

    Options: name, description, version, tags, retries, retry_delay_seconds (number, list or function),
    retry_jitter_factor, retry_condition_fn(task, run, state), timeout_seconds, log_prints,
    validate_parameters, cache_policy, cache_key_fn, cache_expiration, refresh_cache, persist_result,
    result_storage, result_serializer, result_storage_key, task_run_name, and the hooks on_running,
    on_completion, on_failure, on_cancellation, on_crashed. Durations are seconds.
    """
    if __fn is not None:
        return Task(__fn, **options)

    def decorate(fn: Callable[..., Any]) -> Task[Any, Any]:
        return Task(fn, **options)

    return decorate
