"""Results on disk or behind any fsspec URL, readable by other processes.

A stored result is one object: a line of JSON (serializer, expiration, made at) and then the bytes. Its
metadata, kept as the state's `data`, says where it is: {"type": "headway.result", "storage", "storage_key",
"serializer", "expiration"}.
"""

from __future__ import annotations

import json
import os
import posixpath
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from headway.core.errors import MissingResult, SerializationError
from headway.sdk.serializers import Serializer, find_serializer

__all__ = ["ResultStore", "StoredResult", "read_result"]

KIND = "headway.result"


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A value read back, with the metadata it was found under."""

    value: Any
    metadata: dict[str, Any]


class ResultStore:
    """Results under one folder or URL (`/path`, `file:///path`, `s3://bucket/prefix`, …)."""

    def __init__(self, storage: str | os.PathLike[str], serializer: str | Serializer = "pickle") -> None:
        self.storage = os.fspath(storage)
        self.serializer = find_serializer(serializer)
        if "://" not in self.storage:
            self.storage = str(Path(self.storage).expanduser().absolute())

    def write(self, key: str, value: Any, expiration: datetime | None = None) -> dict[str, Any]:
        """Store `value` and return its metadata. Raises SerializationError."""
        header = {
            "serializer": self.serializer.name,
            "expiration": expiration.isoformat() if expiration else None,
            "created": datetime.now(UTC).isoformat(),
        }
        content = json.dumps(header).encode() + b"\n" + self.serializer.dumps(value)
        self._put(key, content)
        return self._metadata(key, header)

    def find(self, key: str, *, expired_too: bool = False) -> StoredResult | None:
        """What is stored under `key`, unless it is not there or has expired for the cache."""
        try:
            content = self._get(key)
        except FileNotFoundError:
            return None
        header, payload = _split(content, key)
        if (
            not expired_too
            and header["expiration"]
            and datetime.fromisoformat(header["expiration"]) <= datetime.now(UTC)
        ):
            return None
        return StoredResult(find_serializer(header["serializer"]).loads(payload), self._metadata(key, header))

    def _metadata(self, key: str, header: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": KIND,
            "storage": self.storage,
            "storage_key": key,
            "serializer": header["serializer"],
            "expiration": header["expiration"],
        }

    @property
    def _local(self) -> Path | None:
        if "://" not in self.storage:
            return Path(self.storage)
        return Path(self.storage.removeprefix("file://")) if self.storage.startswith("file://") else None

    def _put(self, key: str, content: bytes) -> None:
        if self._local is not None:
            path = self._local / key
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
            temporary.write_bytes(content)
            temporary.replace(path)  # a reader sees all of it or nothing
            return
        system, path_there = self._remote(key)
        parent = posixpath.dirname(path_there)
        if parent:
            system.makedirs(parent, exist_ok=True)
        system.pipe_file(path_there, content)

    def _get(self, key: str) -> bytes:
        if self._local is not None:
            return (self._local / key).read_bytes()
        system, path_there = self._remote(key)
        content: bytes = system.cat_file(path_there)
        return content

    def _remote(self, key: str) -> tuple[Any, str]:
        import fsspec  # type: ignore[import-untyped]  # loaded when results are remote

        system, path = fsspec.core.url_to_fs(f"{self.storage.rstrip('/')}/{key}", use_listings_cache=False)
        return system, path


def _split(content: bytes, key: str) -> tuple[dict[str, Any], bytes]:
    line, _, payload = content.partition(b"\n")
    try:
        header = json.loads(line)
        return {"serializer": header["serializer"], "expiration": header["expiration"]}, payload
    except (ValueError, LookupError, TypeError):
        raise SerializationError(f"What is stored under {key!r} is not a result of Headway.") from None


def read_result(metadata: dict[str, Any]) -> Any:
    """The value behind a state's `data`. Raises MissingResult if it is gone or not ours."""
    if not isinstance(metadata, dict) or metadata.get("type") != KIND:
        raise MissingResult("The run's result was not persisted.")
    found = ResultStore(metadata["storage"], metadata["serializer"]).find(metadata["storage_key"], expired_too=True)
    if found is None:
        raise MissingResult(f"The result {metadata['storage_key']!r} is no longer in {metadata['storage']} (removed).")
    return found.value


def expires(after: timedelta | None) -> datetime | None:
    """When a result made now expires."""
    return None if after is None else datetime.now(UTC) + after
