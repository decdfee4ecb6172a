"""The contract that every kind of infrastructure fulfils, and the types that travel through it.

A **driver** starts runs on one kind of infrastructure (its `type`, which equals the type of the pools it can
serve) and knows nothing of the control plane: no client, no states, no leases. The one worker loop composes
a driver; there is one driver object per worker process.

The order of calls, for one attempt of one run:

1. `Driver(DriverContext)`         once per worker. No I/O, no import of what is not needed to describe itself.
2. `prepare()`                     once, before the first start; then
   `find(pool)`                    what an earlier worker left living, for adoption.
3. `start(job)` → `Handle`         once per attempt, or `locate(run, attempt)` where a start may have
                                   happened but was never reported. The worker reports the handle.
4. `watch(handle)` and `logs(handle, after)`   side by side, each at most once at a time. Both end when the
                                   job has ended; `logs` then has given every line.
5. `stop(handle, grace)`           perhaps, at any moment after 3, also while 4 is waiting.
6. `release(handle)`               after everything was reported and every line was sent.
7. `close()`                       once; never ends a job.

Concurrency: all methods run in one event loop (asyncio); calls for different attempts overlap freely, and
nothing may block the loop. `start` of one (run, attempt) may be called by two workers at the same moment.

Safe to repeat: `start` with the same (run, attempt) returns the same handle and starts nothing twice, even
when the first worker died half way, and even when the job has ended since. `watch` and `logs` of a job that
has ended answer from what was left behind, until `release`. `stop` and `release` may be called twice, in
parallel, and on what is already gone. Any worker of the pool that `reaches` a handle can do 4 to 6.

A failure to start is `StartFailed`; `retryable=False` says that the configuration is wrong.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable
from uuid import UUID

import msgspec

from headway.core.errors import StartFailed

__all__ = [
    "Configuration",
    "Driver",
    "DriverContext",
    "Handle",
    "Job",
    "LogLine",
    "Outcome",
    "base_job_template",
    "configure",
    "engine_arguments",
    "mask_environment",
]

MASK = "********"
SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|(?:^|_)PASS(?:_|$)|SECRET|TOKEN|API_?KEY|PRIVATE|CREDENTIAL|ACCESS_KEY|AUTH", re.I
)
SECRET_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)(?=@)")
ENGINES = {"headway": ("-m", "headway.engine"), "prefect": ("-m", "prefect.engine")}

C = TypeVar("C", bound="Configuration")


def described(text: str, **more: Any) -> msgspec.Meta:
    """How a variable is described in the base job template."""
    return msgspec.Meta(description=text, **more)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Settings of a job that every driver has; each driver's own class adds its fields.

    The names are Prefect's (CONTRACT §4), so one pool can be served by workers of both kinds. Every field
    has a default. It is also what a user passes as `infrastructure=`: `job_variables()` then has only the
    fields that were given, so only those override the pool's.
    """

    type: ClassVar[str]
    given: ClassVar[frozenset[str]] = frozenset()

    command: Annotated[
        str | None, described("The command that starts the run. Empty: the engine, started by the worker.")
    ] = None
    env: Annotated[dict[str, str | None], described("Environment variables of the run; null removes one.")] = field(
        default_factory=dict
    )
    labels: Annotated[dict[str, str], described("Labels of the infrastructure that is started.")] = field(
        default_factory=dict
    )
    name: Annotated[str | None, described("Name of the infrastructure. Empty: the name of the run.")] = None
    engine: Annotated[
        Literal["headway", "prefect"] | None,
        described("Which engine runs the flow. Empty: the one of the client that deployed it."),
    ] = None
    grace_seconds: Annotated[float, described("Seconds between asking a run to stop and killing it.", ge=0)] = 5.0

    def __new__(cls, **variables: Any) -> Configuration:
        self = super().__new__(cls)
        object.__setattr__(self, "given", frozenset(variables))
        return self

    def job_variables(self) -> dict[str, Any]:
        """The fields that were given, as JSON values."""
        return {name: msgspec.to_builtins(getattr(self, name)) for name in sorted(self.given)}


ConfigurationType: TypeAlias = type[Configuration]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt to be started.

    `env` comes on top of what the infrastructure has of its own (a worker's environment, an image's); None
    removes a variable. `root` is where the deployment's relative paths begin, if it is a folder anywhere, `entrypoint`
    where its flow is; `facts` (JSON) are what the engine would else ask the control plane for: a driver whose
    infrastructure shares a folder with the worker puts them in a file and names it in `HEADWAY_CLAIM_FILE`;
    `secrets` names the entries of `env` that no preview shows.
    """

    flow_run_id: UUID
    attempt: int
    name: str
    pool: str
    configuration: Configuration
    command: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    root: str | None = None
    entrypoint: str | None = None
    facts: bytes | None = None
    secrets: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """The name that infrastructure is made under: `<run>-<attempt>`."""
        return f"{self.flow_run_id}-{self.attempt}"


class Handle(msgspec.Struct, kw_only=True, frozen=True):
    """Where an attempt runs: JSON-serialisable, kept by the server, understood by drivers of its type.

    `pid` is for people (Prefect's `infrastructure_pid`, e.g. "myhost:4711"), `data` is the driver's own.
    """

    type: str
    flow_run_id: UUID
    attempt: int
    pid: str
    data: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self), "flow_run_id": str(self.flow_run_id)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Handle:
        return msgspec.convert(value, cls)


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """How a job ended: by `exit_code`, or by `signal`, or unknown to the driver (neither).

    `reason` is one word for programs ("exited", "signal", "oom", "lost", "evicted", "image"), `message` one
    line for people.
    """

    exit_code: int | None = None
    signal: int | None = None
    reason: str = "exited"
    message: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of output without its line end. `offset` is the byte where it begins in `stream`, `after`
    the byte to continue from; `time` is when it was read, in UTC."""

    stream: str
    offset: int
    after: int
    text: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverContext:
    """What a driver is given: the folder that is its own to keep things in, and the pool it serves.

    `defaults` are the pool's own values of the driver's variables, as far as it has any.
    """

    home: Path
    pool: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Driver(Protocol):
    """One kind of infrastructure; see the head of this module for the order of calls.

    A class is asked for its `type` and `Configuration` before it is made, e.g. to list the installed types.
    """

    type: ClassVar[str]
    description: ClassVar[str]
    Configuration: ClassVar[ConfigurationType]

    def __init__(self, context: DriverContext) -> None: ...

    async def prepare(self) -> None:
        """Get ready, so that the first start is not slower than the others. Starts nothing of a run, and fails
        only if no run could be started."""
        ...

    def preview(self, job: Job) -> str:
        """What `start` would send, for people, secrets masked. Pure: no I/O, the same job gives the same text."""
        ...

    async def start(self, job: Job) -> Handle:
        """Start the job, once per (run, attempt). Raises `StartFailed`."""
        ...

    async def watch(self, handle: Handle) -> Outcome:
        """Wait until the job has ended; within a second of it. Raises `DriverError` if it cannot be known."""
        ...

    async def stop(self, handle: Handle, grace: float) -> None:
        """Ask the job to end, kill what is left of it after `grace` seconds; returns when it has ended."""
        ...

    def logs(self, handle: Handle, after: Mapping[str, int]) -> AsyncIterator[LogLine]:
        """The output from the byte offsets in `after` on (stream → offset; absent: 0), until the end."""
        ...

    async def locate(self, flow_run_id: UUID, attempt: int) -> Handle | None:
        """What was started for this attempt but perhaps never reported; None if nothing was."""
        ...

    async def find(self, pool: str) -> Sequence[Handle]:
        """Everything of this pool that lives where this worker can reach it."""
        ...

    def reaches(self, handle: Handle) -> bool:
        """Whether this worker can watch and stop it (a process: only on its own machine). Pure lookup."""
        ...

    async def release(self, handle: Handle) -> None:
        """Forget what has ended: remove what `watch` and `logs` answered from."""
        ...

    async def close(self) -> None:
        """Give back what the driver itself holds; jobs go on."""
        ...


def base_job_template(configuration: type[Configuration]) -> dict[str, Any]:
    """The default template of a driver: one variable per field, all of them optional (DESIGN §1)."""
    schema = msgspec.json.schema(configuration)
    definitions = schema.get("$defs", {})
    own: dict[str, Any] = definitions.pop(schema["$ref"].rpartition("/")[2]) if "$ref" in schema else schema
    defaults = {f.name for f in fields(configuration) if f.default is not None and f.default is not MISSING}
    properties = {
        name: {"title": name.replace("_", " ").capitalize(), **variable(value, name in defaults)}
        for name, value in own["properties"].items()
    }
    variables: dict[str, Any] = {"type": "object", "properties": properties}
    if definitions:
        variables["definitions"] = definitions
    return {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in properties},
        "variables": variables,
    }


def variable(schema: Mapping[str, Any], has_default: bool) -> dict[str, Any]:
    """One variable's schema, without what says nothing: "or null", a default of null or an empty container."""
    kept = {key: value for key, value in schema.items() if key != "default" or has_default}
    choices = [choice for choice in kept.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        kept |= choices[0]
    elif choices:
        kept["anyOf"] = choices
    if "enum" in kept:
        kept |= {"type": "string", "enum": [value for value in kept["enum"] if value is not None]}
    return kept


def configure(configuration: type[C], values: Mapping[str, Any]) -> C:
    """A resolved `job_configuration` as the driver's typed settings. Keys of other makers are ignored and
    null means "not set". Raises `StartFailed` (not retryable) naming what does not fit."""
    try:
        return msgspec.convert(
            {key: value for key, value in values.items() if value is not None}, configuration, strict=False
        )
    except msgspec.ValidationError as error:
        raise StartFailed(f"Job configuration does not fit type '{configuration.type}': {error}.", False) from error


def engine_arguments(engine: str | None) -> tuple[str, ...]:
    """What the interpreter is given to run a flow, e.g. ("-m", "headway.engine")."""
    chosen = engine or "headway"
    if chosen not in ENGINES:
        raise StartFailed(f"Unknown engine '{chosen}'; known: {', '.join(ENGINES)}.", False)
    return ENGINES[chosen]


def mask_environment(env: Mapping[str, str | None], secrets: frozenset[str] = frozenset()) -> dict[str, str]:
    """The environment as a preview shows it: sorted, secret values and passwords in URLs masked."""
    return {
        name: MASK if name in secrets or SECRET_NAME.search(name) else SECRET_IN_URL.sub(rf"\1:{MASK}", value)
        for name, value in sorted(env.items())
        if value is not None
    }
