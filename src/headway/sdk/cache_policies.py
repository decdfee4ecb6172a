"""When two task runs are the same: a policy computes a key; runs with one key share one result.

Policies combine: `INPUTS + TASK_SOURCE`, `INPUTS - "verbose"`. `DEFAULT` is INPUTS + TASK_SOURCE + RUN_ID.
A policy that returns None switches caching off for that run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from headway.core.errors import SerializationError

__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NONE",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "CacheFacts",
    "CachePolicy",
    "hash_of",
]


class CacheFacts(NamedTuple):
    """What a policy may look at."""

    task: Any
    parameters: Mapping[str, Any]
    flow_run_id: str | None
    task_run_id: str
    flow_parameters: Mapping[str, Any]


class CachePolicy:
    """Base of all policies; subclasses define `key`."""

    def key(self, facts: CacheFacts) -> str | None:
        """A text that is equal for equal runs, or None for no caching."""
        raise NotImplementedError

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if isinstance(other, _NoCache):
            return self
        if not isinstance(other, CachePolicy):
            return NotImplemented
        return _Compound((*_parts(self), *_parts(other)))

    def __sub__(self, name: str) -> CachePolicy:
        """Leave the input `name` out of the key."""
        return _Compound(tuple(part.without(name) for part in _parts(self)))

    def without(self, name: str) -> CachePolicy:
        return self


class _Compound(CachePolicy):
    def __init__(self, parts: tuple[CachePolicy, ...]) -> None:
        self.parts = parts

    def key(self, facts: CacheFacts) -> str | None:
        keys = [key for key in (part.key(facts) for part in self.parts) if key is not None]
        return hash_of(*keys) if keys else None


class _NoCache(CachePolicy):
    def key(self, facts: CacheFacts) -> str | None:
        return None

    def __add__(self, other: CachePolicy) -> CachePolicy:
        return other


class _Inputs(CachePolicy):
    def __init__(self, left_out: frozenset[str] = frozenset()) -> None:
        self.left_out = left_out

    def key(self, facts: CacheFacts) -> str | None:
        inputs = {name: value for name, value in sorted(facts.parameters.items()) if name not in self.left_out}
        return hash_of("inputs", inputs)

    def without(self, name: str) -> CachePolicy:
        return _Inputs(self.left_out | {name})


class _TaskSource(CachePolicy):
    def key(self, facts: CacheFacts) -> str | None:
        import inspect  # loaded when something is cached

        try:
            source = inspect.getsource(facts.task.fn)
        except (OSError, TypeError):
            source = facts.task.fn.__code__.co_code.hex()
        return hash_of("source", source)


class _RunId(CachePolicy):
    def key(self, facts: CacheFacts) -> str | None:
        return hash_of("run", facts.flow_run_id or facts.task_run_id)


class _FlowParameters(CachePolicy):
    def key(self, facts: CacheFacts) -> str | None:
        return hash_of("flow parameters", dict(facts.flow_parameters)) if facts.flow_parameters else None


class FunctionPolicy(CachePolicy):
    """A user's `cache_key_fn(context, parameters)`, whose text is the key as it is."""

    def __init__(self, function: Callable[[Any, dict[str, Any]], str | None]) -> None:
        self.function = function

    def key(self, facts: CacheFacts) -> str | None:
        return self.function(facts, dict(facts.parameters))


def _parts(policy: CachePolicy) -> tuple[CachePolicy, ...]:
    return policy.parts if isinstance(policy, _Compound) else (policy,)


def hash_of(*values: Any) -> str:
    """A digest of plain or picklable values. Raises SerializationError."""
    import hashlib  # loaded when something is cached

    digest = hashlib.sha256()
    for value in values:
        data = value.encode() if isinstance(value, str) else _stable_bytes(value)
        digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()[:32]


def _stable_bytes(value: Any) -> bytes:
    """JSON if the value has such a form (equal for equal dicts and sets), else a pickle."""
    import msgspec  # loaded when something is cached

    try:
        return b"j" + msgspec.json.encode(value, order="deterministic")
    except (TypeError, ValueError, OverflowError):
        pass
    import pickle

    import cloudpickle  # type: ignore[import-untyped]  # loaded when something is cached

    try:
        data: bytes = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise SerializationError(
            f"The inputs cannot be hashed for the cache: {error}. Leave one out (INPUTS - 'name') or use cache_key_fn."
        ) from error
    return b"p" + data


INPUTS = _Inputs()
TASK_SOURCE = _TaskSource()
RUN_ID = _RunId()
FLOW_PARAMETERS = _FlowParameters()
NO_CACHE = _NoCache()
NONE = NO_CACHE
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID
