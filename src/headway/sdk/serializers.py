"""How results become bytes. A serializer is found by name: pickle, json, or compressed/<one of them>.

More can be added with the entry-point group `headway.serializers` (name -> class with `dumps` and `loads`).
"""

from __future__ import annotations

import pickle
import zlib
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from headway.core.errors import SerializationError

__all__ = ["CompressedSerializer", "JSONSerializer", "PickleSerializer", "Serializer", "find_serializer"]


@runtime_checkable
class Serializer(Protocol):
    """Bytes from a value and back. `name` is stored beside the bytes, and finds the serializer again."""

    name: str

    def dumps(self, value: Any) -> bytes: ...

    def loads(self, data: bytes) -> Any: ...


class PickleSerializer:
    """cloudpickle: nearly everything, but only between the same Python and library versions."""

    name = "pickle"

    def dumps(self, value: Any) -> bytes:
        import cloudpickle  # type: ignore[import-untyped]  # loaded when a result is written

        try:
            data: bytes = cloudpickle.dumps(value)
        except Exception as error:
            raise SerializationError(
                f"A result of type {type(value).__name__} cannot be pickled: {error}. "
                "Return something else, or choose another result_serializer."
            ) from error
        return data

    def loads(self, data: bytes) -> Any:
        try:
            return pickle.loads(data)
        except Exception as error:
            raise SerializationError(f"A pickled result cannot be read: {error}") from error


class JSONSerializer:
    """JSON: readable anywhere; dataclasses, times and ids become their JSON forms."""

    name = "json"

    def dumps(self, value: Any) -> bytes:
        import msgspec  # loaded when a result is written

        try:
            return msgspec.json.encode(value, enc_hook=_json_form)
        except (TypeError, ValueError, OverflowError) as error:
            raise SerializationError(
                f"A result of type {type(value).__name__} has no JSON form: {error}. "
                "Return plain values, or use result_serializer='pickle'."
            ) from error

    def loads(self, data: bytes) -> Any:
        import msgspec  # loaded when a result is read

        try:
            return msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise SerializationError(f"A JSON result cannot be read: {error}") from error


class CompressedSerializer:
    """Another serializer's bytes, compressed with zlib."""

    def __init__(self, inner: Serializer | str = "pickle") -> None:
        self.inner = find_serializer(inner)
        self.name = f"compressed/{self.inner.name}"

    def dumps(self, value: Any) -> bytes:
        return zlib.compress(self.inner.dumps(value))

    def loads(self, data: bytes) -> Any:
        try:
            plain = zlib.decompress(data)
        except zlib.error as error:
            raise SerializationError(f"A compressed result cannot be read: {error}") from error
        return self.inner.loads(plain)


def _json_form(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def find_serializer(name: str | Serializer) -> Serializer:
    """A serializer by name, or the given one itself; SerializationError names the known ones."""
    if not isinstance(name, str):
        return name
    if name == "pickle":
        return PickleSerializer()
    if name == "json":
        return JSONSerializer()
    if name.startswith("compressed/"):
        return CompressedSerializer(name.removeprefix("compressed/"))
    plugins = {point.name: point for point in entry_points(group="headway.serializers")}
    if name in plugins:
        made: Serializer = plugins[name].load()()
        return made
    known = ", ".join(["pickle", "json", "compressed/pickle", "compressed/json", *sorted(plugins)])
    raise SerializationError(f"There is no serializer {name!r}; known are {known}.")
