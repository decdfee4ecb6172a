"""Every setting of Headway, client and server, as one typed object.

Public names: `Settings` (what to hold), `read_value` (text to value, or one clear line), `variables` (the
flat list). Where values come from is `headway.core.profiles`: environment over profile file over the defaults
written here. A setting's variable is its dotted name in capitals: `server.loops.scheduler` is
`HEADWAY_SERVER_LOOPS_SCHEDULER`.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headway.core.errors import SettingsError

PREFIX = "HEADWAY_"
TRUE_WORDS = ("1", "true", "on", "yes")
FALSE_WORDS = ("0", "false", "off", "no")
DEFAULT_HOME = Path("~/.headway")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    schemes: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "schemes": schemes,
        "secret": secret,
    }
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResultSettings:
    """Where and how results are kept. `HEADWAY_RESULTS_…`."""

    storage: str | None = _setting(None, "folder or fsspec URL for persisted results; unset: $HEADWAY_HOME/storage")
    serializer: str = _setting("pickle", "name of the serializer: pickle, json, compressed/pickle or compressed/json")
    persist: bool = _setting(False, "persist the results of flows and tasks that do not say themselves")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How the client talks to a server. `HEADWAY_CLIENT_…`; durations in seconds."""

    timeout_seconds: float = _setting(60.0, "time one request may take", minimum=0.1)
    retries: int = _setting(5, "how often a request is repeated after 408, 429, 502, 503 or a network error", minimum=0)
    backoff_seconds: float = _setting(0.5, "first pause before a repeat; doubles each time up to 20 s", minimum=0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How a run records itself. `HEADWAY_ENGINE_…`; durations in seconds."""

    event_batch: int = _setting(750, "task-run events sent in one request at most", minimum=1, maximum=10_000)
    event_buffer: int = _setting(200_000, "task-run events kept in memory while the server is away", minimum=100)
    log_batch: int = _setting(1000, "log records sent in one request at most", minimum=1, maximum=10_000)
    log_buffer: int = _setting(100_000, "log records kept in memory while the server is away", minimum=100)
    flush_seconds: float = _setting(120.0, "how long the end of a run waits for records to be delivered", minimum=0)
    patience_seconds: float = _setting(
        600.0, "how long a run waits for a server that is away to take its state", minimum=0
    )
    task_workers: int | None = _setting(None, "threads of a thread-pool task runner; unset: 256", minimum=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """Switch of each loop of the server. `HEADWAY_SERVER_LOOPS_…=off`."""

    scheduler: bool = _setting(True, "create the next runs of every active schedule")
    late: bool = _setting(True, "mark runs that are overdue as Late")
    pauses: bool = _setting(True, "fail pauses that nobody ended in time")
    status: bool = _setting(True, "keep the status of workers, pools, queues and deployments true")
    reaper: bool = _setting(True, "end attempts whose worker and engine are both silent")
    cancellations: bool = _setting(True, "finish cancellations nobody finished, and cancel children of cancelled runs")
    tally: bool = _setting(True, "add up the counts of ended runs")
    retention: bool = _setting(True, "drop logs, events and runs older than their retention")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettings:
    """Leases of attempts (DESIGN §3, Leases). `HEADWAY_SERVER_LEASE_…`; seconds."""

    ttl_seconds: float = _setting(20.0, "how long a lease lives without renewal", minimum=0.05)
    renew_seconds: float = _setting(5.0, "how often workers and engines renew", minimum=0.01)
    reaper_seconds: float = _setting(2.0, "how often the reaper looks", minimum=0.01)

    @property
    def longest_gap(self) -> float:
        """Seconds without a look after which nobody could have renewed in time: whoever renewed just before still
        has time to do it again after a gap of a third of a lease."""
        return max(2.5 * self.reaper_seconds, self.ttl_seconds / 3, 1.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long history is kept. `HEADWAY_SERVER_RETENTION_…`; days, unset keeps for ever."""

    logs_days: float | None = _setting(30.0, "days logs are kept", minimum=0)
    events_days: float | None = _setting(30.0, "days events are kept", minimum=0)
    flow_runs_days: float | None = _setting(None, "days ended flow runs are kept; unset: for ever", minimum=0)
    interval_seconds: float = _setting(3600.0, "how often retention runs", minimum=0.01)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """How far ahead schedules are filled (CONTRACT §3). `HEADWAY_SERVER_SCHEDULER_…`."""

    interval_seconds: float = _setting(5.0, "how often the scheduler looks", minimum=0.01)
    min_runs: int = _setting(3, "runs kept scheduled per schedule at least", minimum=1)
    max_runs: int = _setting(100, "runs kept scheduled per schedule at most", minimum=1)
    min_ahead_seconds: float = _setting(3600.0, "time ahead that is always filled", minimum=0)
    max_ahead_seconds: float = _setting(8_640_000.0, "time ahead that is never exceeded", minimum=0)
    batch: int = _setting(1000, "deployments handled in one pass", minimum=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The control plane. `HEADWAY_SERVER_…`; durations in seconds."""

    host: str = _setting("127.0.0.1", "address the server listens on")
    port: int = _setting(4200, "port the server listens on; 0 takes a free one", minimum=0, maximum=65535)
    database_url: str | None = _setting(
        None,
        "database URL; unset: sqlite:///$HEADWAY_HOME/headway.db",
        schemes=("sqlite", "postgresql", "postgresql+psycopg"),
        secret=True,
    )
    api_key: str | None = _setting(None, "when set, requests must carry this key", secret=True)
    log_level: str = _setting("WARNING", "log level of the server", choices=LOG_LEVELS)
    access_log: bool = _setting(False, "write a line for every request")
    page_limit: int = _setting(200, "default and maximum of `limit` in filters", minimum=1, maximum=10_000)
    late_after_seconds: float = _setting(15.0, "overdue time after which a scheduled run is Late", minimum=0)
    late_interval_seconds: float = _setting(5.0, "how often the late loop looks", minimum=0.01)
    pauses_interval_seconds: float = _setting(5.0, "how often the pause loop looks", minimum=0.01)
    status_interval_seconds: float = _setting(5.0, "how often the status loop looks", minimum=0.01)
    cancellations_interval_seconds: float = _setting(5.0, "how often the cancellation loop looks", minimum=0.01)
    cancel_timeout_seconds: float = _setting(300.0, "CANCELLING that nobody finishes is CANCELLED after", minimum=0)
    cancel_grace_seconds: float = _setting(5.0, "time between the polite and the hard stop of a run", minimum=0)
    deployment_lease_seconds: float = _setting(300.0, "life of a deployment slot taken the Prefect way", minimum=1)
    slot_wait_seconds: float = _setting(30.0, "pause before a run tries again for a deployment slot", minimum=0)
    queue_silence_seconds: float = _setting(60.0, "a queue not polled for this long is NOT_READY", minimum=0.1)
    start_failures_max: int = _setting(3, "failures to start before a run is given up", minimum=0)
    shutdown_seconds: float = _setting(10.0, "time open requests get when the server stops", minimum=0)
    lease: LeaseSettings = dataclasses.field(default_factory=LeaseSettings)
    loops: LoopSettings = dataclasses.field(default_factory=LoopSettings)
    retention: RetentionSettings = dataclasses.field(default_factory=RetentionSettings)
    scheduler: SchedulerSettings = dataclasses.field(default_factory=SchedulerSettings)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The worker. `HEADWAY_WORKER_…`; durations in seconds."""

    poll_seconds: float = _setting(1.0, "rest before asking for runs again where the server did not wait", minimum=0.01)
    heartbeat_seconds: float = _setting(10.0, "how often the worker says that it lives", minimum=0.1)
    stop_grace_seconds: float = _setting(5.0, "time a run gets between the polite and the hard stop", minimum=0)
    log_level: str = _setting("INFO", "log level of the worker", choices=LOG_LEVELS)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. Made by `headway.core.profiles.load_settings()`; changed by `dataclasses.replace`."""

    home: Path = _setting(  # noqa: RUF009 (a Path never changes)
        DEFAULT_HOME, "folder of the database, profiles, results and attempt directories"
    )
    profile: str = _setting("default", "profile of profiles.toml in use")
    api_url: str | None = _setting(
        None,
        "URL of the API, ending in /api; unset: the server runs inside the process",
        schemes=("http", "https"),
    )
    api_key: str | None = _setting(None, "key sent with every request", secret=True)
    log_level: str = _setting("INFO", "level from which log records are kept", choices=LOG_LEVELS)
    log_prints: bool = _setting(False, "log what flows and tasks print, unless they say themselves")
    results: ResultSettings = dataclasses.field(default_factory=ResultSettings)
    client: ClientSettings = dataclasses.field(default_factory=ClientSettings)
    engine: EngineSettings = dataclasses.field(default_factory=EngineSettings)
    worker: WorkerSettings = dataclasses.field(default_factory=WorkerSettings)
    server: ServerSettings = dataclasses.field(default_factory=ServerSettings)

    @property
    def database_url(self) -> str:
        """The server's database URL, or SQLite in the home folder."""
        return self.server.database_url or f"sqlite:///{self.home / 'headway.db'}"

    @property
    def results_storage(self) -> str:
        """Folder or fsspec URL under which results are kept."""
        return self.results.storage or str(self.home / "storage")


@dataclasses.dataclass(frozen=True)
class Variable:
    """One setting: dotted name, environment variable, type, default and limits."""

    name: str
    type: Any
    default: Any
    metadata: typing.Mapping[str, Any]

    @functools.cached_property
    def variable(self) -> str:
        return PREFIX + self.name.replace(".", "_").upper()

    @property
    def help(self) -> str:
        return str(self.metadata["help"])

    @property
    def secret(self) -> bool:
        return bool(self.metadata["secret"])


@functools.cache
def variables() -> tuple[Variable, ...]:
    """All settings, nested groups flattened, in the order of declaration."""
    return tuple(_variables(Settings, ""))


def _variables(group: type, path: str) -> Iterator[Variable]:
    for name, kind, is_group, field in _fields(group):
        if is_group:
            yield from _variables(kind, f"{path}{name}.")
        else:
            yield Variable(path + name, kind, field.default, field.metadata)


@functools.cache
def _fields(group: type) -> tuple[tuple[str, Any, bool, Any], ...]:
    """Name, type, whether it is a group of settings, and the field itself, of each field of a group."""
    return tuple(
        (field.name, kind := _resolved(str(field.type)), dataclasses.is_dataclass(kind), field)
        for field in dataclasses.fields(group)
    )


@functools.cache
def _resolved(annotation: str) -> Any:
    """An annotation of this module as a type; `get_type_hints` compiles each of the hundred anew, at every start."""
    return eval(annotation, globals())


def build(values: dict[str, Any], group: type = Settings, path: str = "") -> Any:
    """The settings object from dotted names to typed values; what is missing has its default."""
    arguments: dict[str, Any] = {}
    for field, kind, is_group, _ in _fields(group):
        name = path + field
        if is_group:
            arguments[field] = build(values, kind, f"{name}.")
        elif name in values:
            arguments[field] = values[name]
    return group(**arguments)


def read_value(variable: Variable, value: Any, shown_as: str) -> Any:
    """`value` (text from the environment, or a TOML value) as the setting's type.

    `shown_as` is how the message names the setting. Raises `SettingsError`.
    """
    kind = variable.type
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None or value == "":
            return None
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
    try:
        result = _READERS[kind](value)
    except (ValueError, TypeError):
        raise _refusal(shown_as, value, _ALLOWED[kind], variable) from None
    _check_limits(variable, result, value, shown_as)
    return result


def _check_limits(variable: Variable, result: Any, value: Any, shown_as: str) -> None:
    limits = variable.metadata
    low, high, choices, schemes = limits["minimum"], limits["maximum"], limits["choices"], limits["schemes"]
    if (low is not None and result < low) or (high is not None and result > high):
        span = f"from {low:g} to {high:g}" if high is not None else f"of at least {low:g}"
        raise _refusal(shown_as, value, f"a number {span}", variable)
    if choices and result not in choices:
        raise _refusal(shown_as, value, "one of " + ", ".join(choices), variable)
    if schemes and str(result).partition("://")[0] not in schemes:
        raise _refusal(shown_as, value, "a URL starting with " + " or ".join(f"{s}://" for s in schemes), variable)


def _refusal(shown_as: str, value: Any, allowed: str, variable: Variable) -> SettingsError:
    shown = "the given value" if variable.secret else repr(value)
    return SettingsError(f"{shown_as}: {shown} is not allowed; it must be {allowed} ({variable.help}).")


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(value)


def _read_int(value: Any) -> int:
    if isinstance(value, bool | float):
        raise ValueError(value)
    return int(value)


def _read_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return number


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def _read_path(value: Any) -> Path:
    return Path(_read_text(value)).expanduser().absolute()


_READERS: typing.Mapping[Any, typing.Callable[[Any], Any]] = types.MappingProxyType(
    {bool: _read_bool, int: _read_int, float: _read_float, str: _read_text, Path: _read_path}
)
_ALLOWED: typing.Mapping[Any, str] = types.MappingProxyType(
    {bool: "on or off", int: "a whole number", float: "a number", str: "a text", Path: "a folder"}
)
