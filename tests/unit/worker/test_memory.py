"""What a worker leaves on disk for its next incarnation."""

from __future__ import annotations

import stat
from pathlib import Path
from uuid import UUID

import pytest

from headway.core.errors import HeadwayError, WorkerNameTakenError
from headway.worker.memory import AttemptRecord, Memory


def record(attempt: int = 1) -> AttemptRecord:
    return AttemptRecord(
        flow_run_id=UUID(int=9),
        attempt=attempt,
        token="secret",
        name="n",
        grace_seconds=5,
        echo=True,
        handle={"pid": "x"},
        offsets={"stdout": 7},
    )


def test_attempts_are_read_back_by_the_next_of_the_same_name(tmp_path: Path) -> None:
    first = Memory(tmp_path, "p", "w")
    first.keep(record(1))
    first.keep(record(2))
    first.forget(record(1))
    first.close(clean=False)
    second = Memory(tmp_path, "p", "w")
    assert second.attempts() == [record(2)]
    assert second.worker_id == first.worker_id
    second.close(clean=True)


def test_a_name_is_held_by_one_living_worker_of_the_pool(tmp_path: Path) -> None:
    first = Memory(tmp_path, "p", "w")
    with pytest.raises(WorkerNameTakenError, match="'w' is already online in work pool 'p'"):
        Memory(tmp_path, "p", "w")
    other = Memory(tmp_path, "another/pool", "w")
    assert other.worker_id != first.worker_id
    first.close(clean=True)
    other.close(clean=True)


def test_a_clean_stop_leaves_nothing_and_the_next_has_another_id(tmp_path: Path) -> None:
    first = Memory(tmp_path, "p", "w")
    first.close(clean=True)
    assert not first.folder.exists()
    second = Memory(tmp_path, "p", "w")
    assert second.worker_id != first.worker_id
    second.close(clean=True)


def test_tokens_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "p", "w")
    memory.keep(record())
    (path,) = memory.folder.glob("*-1.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    memory.close(clean=True)


def test_a_damaged_record_does_not_keep_a_worker_from_starting(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "p", "w")
    memory.keep(record())
    (path,) = memory.folder.glob("*-1.json")
    path.write_text("{half")
    assert memory.attempts() == []
    memory.close(clean=True)


def test_an_unwritable_home_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("a file where a folder should be")
    with pytest.raises(HeadwayError, match=r"Cannot write to .*HEADWAY_HOME"):
        Memory(tmp_path, "p", "w")
