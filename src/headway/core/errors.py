"""Everything Headway raises on purpose; a message says what is wrong, what was expected and what to do.

HeadwayError
├── RequestError                    answered over HTTP with `status`
│   ├── Forbidden              403
│   ├── NotFound               404
│   ├── Conflict               409  has a `code` for programs
│   │   ├── WorkerTypeNotSupportedError
│   │   ├── WorkerNameTakenError
│   │   ├── FencedError             another process owns the attempt
│   │   └── OutdatedError           what a command was prepared from has changed since
│   ├── Gone                   410
│   │   └── LeaseLostError          the attempt has ended
│   ├── Invalid                422  has a `loc` (path of the offending field)
│   ├── Locked                 423  has `retry_after` seconds
│   └── Unavailable            503  repeat the same request later
├── SettingsError                   a wrong setting: names the variable, the value, what is allowed
├── StoreError                      the database cannot be used
│   ├── DatabaseTooNew              made by a newer Headway
│   └── DatabaseCorrupted
├── ClientError                     a client could not get its answer
│   ├── ServerUnreachable
│   └── UnexpectedReply             a status nobody foresaw; has `status`
├── TemplateError                   a base job template or job variables that do not fit
├── ScheduleError                   a cron, interval, rrule or time zone that means nothing
├── ParameterError                  flow parameters that do not fit
├── EntrypointNotFound              `file.py:flow` or `package.module:flow` leads nowhere
├── SerializationError              a result that cannot be written or read back
├── DriverError                     infrastructure did not do what was asked
│   ├── DriverNotFound              no installed driver has that type
│   └── StartFailed                 has `retryable`: configuration errors are not retried
└── RunError                        how a run ended, raised to whoever asked for its result
    ├── FailedRun
    ├── CrashedRun
    ├── CancelledRun
    ├── PausedRun
    ├── MissingResult
    └── AbortedTransition           the server refused a state and says why
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AbortedTransition",
    "CancelledRun",
    "ClientError",
    "Conflict",
    "CrashedRun",
    "DatabaseCorrupted",
    "DatabaseTooNew",
    "DriverError",
    "DriverNotFound",
    "EntrypointNotFound",
    "FailedRun",
    "FencedError",
    "Forbidden",
    "Gone",
    "HeadwayError",
    "Invalid",
    "LeaseLostError",
    "Locked",
    "MissingResult",
    "NotFound",
    "OutdatedError",
    "ParameterError",
    "PausedRun",
    "RequestError",
    "RunError",
    "ScheduleError",
    "SerializationError",
    "ServerUnreachable",
    "SettingsError",
    "StartFailed",
    "StoreError",
    "TemplateError",
    "Unavailable",
    "UnexpectedReply",
    "WorkerNameTakenError",
    "WorkerTypeNotSupportedError",
]


class HeadwayError(Exception):
    """Base of all errors of Headway. `message` is one clear line for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(HeadwayError):
    """An error that the API answers with an HTTP status; clients raise the same class again."""

    status = 400
    code: str | None = None


class Forbidden(RequestError):
    status = 403


class NotFound(RequestError):
    status = 404


class Conflict(RequestError):
    """The request contradicts what is there. `code` names the case for programs."""

    status = 409

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class WorkerTypeNotSupportedError(Conflict):
    """A worker of one type asked for a pool of another (DESIGN §3, exact message)."""

    def __init__(self, worker_type: str, pool_type: str) -> None:
        super().__init__(
            f"Worker type '{worker_type}' is not compatible with work pool type '{pool_type}'. "
            f"Worker type must be '{pool_type}'.",
            code="WorkerTypeNotSupportedError",
        )
        self.worker_type = worker_type
        self.pool_type = pool_type


class WorkerNameTakenError(Conflict):
    """A worker with this name is alive in the pool."""

    def __init__(self, name: str, pool: str) -> None:
        super().__init__(
            f"A worker named '{name}' is already online in work pool '{pool}'. "
            "Stop it first, or start this one with another --name.",
            code="WorkerNameTakenError",
        )


class FencedError(Conflict):
    """The attempt belongs to another process (token or nonce differ); stop before touching anything."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="AttemptFenced")


class OutdatedError(Conflict):
    """A command was prepared from a deployment or pool as it no longer is; prepare it anew."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="Outdated")


class Gone(RequestError):
    status = 410


class LeaseLostError(Gone):
    """The attempt has ended; whoever still runs it must stop."""

    code = "AttemptEnded"


class Invalid(RequestError):
    """The request is malformed. `loc` is the path of the offending field, e.g. ("body", "name")."""

    status = 422

    def __init__(self, message: str, loc: Sequence[str | int] = ("body",)) -> None:
        super().__init__(message)
        self.loc = list(loc)


class Locked(RequestError):
    """Nothing is free right now. `retry_after` is in seconds."""

    status = 423

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(RequestError):
    """A transient trouble: the outcome is unknown or nothing happened, and repeating is safe."""

    status = 503

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SettingsError(HeadwayError):
    """A setting with a value that is not allowed."""


class StoreError(HeadwayError):
    """The database cannot be used."""


class DatabaseTooNew(StoreError):
    """The database was made by a newer Headway."""


class DatabaseCorrupted(StoreError):
    """The file is not a database, or is damaged."""


class ClientError(HeadwayError):
    """A client could not get its answer."""


class ServerUnreachable(ClientError):
    """Nobody answers at the API URL."""


class UnexpectedReply(ClientError):
    """The server answered something that no rule foresees."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TemplateError(HeadwayError):
    """A base job template, or job variables, that do not fit."""

    def __init__(self, message: str, loc: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.loc = list(loc)


class ScheduleError(HeadwayError):
    """A schedule that means nothing."""


class ParameterError(HeadwayError):
    """Flow parameters that do not fit the flow."""

    def __init__(self, message: str, loc: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.loc = list(loc)


class EntrypointNotFound(HeadwayError):
    """An entrypoint that leads nowhere; the message has the path that was tried."""


class SerializationError(HeadwayError):
    """A value that cannot be written, or not be read back."""


class DriverError(HeadwayError):
    """Infrastructure did not do what was asked."""


class DriverNotFound(DriverError):
    """No installed driver has the type."""


class StartFailed(DriverError):
    """Infrastructure could not be started; a wrong configuration is not `retryable`."""

    def __init__(self, message: str, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class RunError(HeadwayError):
    """How a run ended, told to whoever asked for its result."""


class FailedRun(RunError):
    pass


class CrashedRun(RunError):
    pass


class CancelledRun(RunError):
    pass


class PausedRun(RunError):
    pass


class MissingResult(RunError):
    """The run has ended, but its result was not kept."""


class AbortedTransition(RunError):
    """The server refused a state (status ABORT) and says why."""
