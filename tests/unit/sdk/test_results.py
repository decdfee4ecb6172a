"""Results: serializers by name, stores under folders and URLs, metadata that finds a result again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from headway.core.errors import MissingResult, SerializationError
from headway.sdk.results import ResultStore, read_result
from headway.sdk.serializers import CompressedSerializer, find_serializer


@pytest.mark.parametrize("serializer", ["pickle", "json", "compressed/pickle", "compressed/json"])
def test_every_serializer_gives_back_what_it_was_given(tmp_path: Path, serializer: str) -> None:
    value = {"a": [1, 2.5, None, "ü"], "b": True}
    metadata = ResultStore(tmp_path, serializer).write("key", value)
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["serializer"] == serializer
    assert read_result(metadata) == value


def test_compression_makes_long_results_short(tmp_path: Path) -> None:
    plain, small = ResultStore(tmp_path / "a", "json"), ResultStore(tmp_path / "b", CompressedSerializer("json"))
    plain.write("key", "x" * 10_000)
    small.write("key", "x" * 10_000)
    assert (tmp_path / "b/key").stat().st_size * 10 < (tmp_path / "a/key").stat().st_size


def test_an_unknown_serializer_names_the_known_ones() -> None:
    with pytest.raises(SerializationError, match=r"no serializer 'yaml'; known are pickle, json"):
        find_serializer("yaml")


def test_a_value_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SerializationError, match=r"has no JSON form.*result_serializer='pickle'"):
        ResultStore(tmp_path, "json").write("key", object())
    with pytest.raises(SerializationError, match="cannot be pickled"):
        ResultStore(tmp_path, "pickle").write("key", (item for item in [1]))


def test_a_user_may_bring_a_serializer(tmp_path: Path) -> None:
    class Shout:
        name = "json"  # what it writes is JSON, so the built-in one reads it

        def dumps(self, value: Any) -> bytes:
            return json.dumps(value.upper()).encode()

        def loads(self, data: bytes) -> Any:
            return json.loads(data)

    assert read_result(ResultStore(tmp_path, Shout()).write("key", "quiet")) == "QUIET"


def test_what_has_expired_is_not_found_by_the_cache_but_by_its_run(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    metadata = store.write("key", 1, datetime.now(UTC) - timedelta(seconds=1))
    assert store.find("key") is None
    assert read_result(metadata) == 1


def test_a_result_that_was_removed_is_a_clear_error(tmp_path: Path) -> None:
    metadata = ResultStore(tmp_path).write("key", 1)
    (tmp_path / "key").unlink()
    with pytest.raises(MissingResult, match=r"'key' is no longer in .*\(removed\)"):
        read_result(metadata)


def test_metadata_of_another_maker_is_not_read() -> None:
    with pytest.raises(MissingResult, match="not persisted"):
        read_result({"type": "unpersisted"})


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hello")
    with pytest.raises(SerializationError, match="not a result of Headway"):
        ResultStore(tmp_path).find("key")


@pytest.mark.parametrize("prefix", ["file://{folder}", "memory://results"])
def test_a_store_may_be_any_fsspec_url(tmp_path: Path, prefix: str) -> None:
    url = prefix.format(folder=tmp_path)
    metadata = ResultStore(url).write("deep/key", [1, 2])
    assert metadata["storage"] == url
    assert read_result(metadata) == [1, 2]
    assert ResultStore(url).find("absent") is None
    fsspec.filesystem("memory").store.clear()


def test_nobody_sees_half_a_result(tmp_path: Path) -> None:
    ResultStore(tmp_path).write("key", "x" * 100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
