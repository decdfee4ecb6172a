"""The demo's data are the real flights, and its count notices a deleted, a doubled and a missing data file."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from autoloader.demo import check, data
from autoloader.lake import Target, look
from autoloader.load import Source, Status, load_file


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """Everything the demo loads, loaded."""
    folder = tmp_path_factory.mktemp("year")
    data.make(folder / "inbox")
    target = Target(folder / "warehouse", "lake.flights")
    for name in data.FOLDERS:
        for path in sorted((folder / "inbox" / name).iterdir()):
            outcome = load_file(path, Source(path.parent), target)
            assert outcome.status == Status.LOADED
            assert outcome.rows == data.FLIGHTS[int(path.name[13:15])]
    return target


@pytest.fixture
def warehouse(year: Target) -> Iterator[Path]:
    """The year's warehouse; whatever the test breaks is mended."""
    kept = year.warehouse.with_name("kept")
    shutil.copytree(year.warehouse, kept)
    yield year.warehouse
    shutil.rmtree(year.warehouse)
    kept.rename(year.warehouse)


def test_the_data_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        data.make(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").glob("*/*"))
    assert len(files) == 12
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_the_whole_year_is_336776_flights_without_duplicates(
    warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(warehouse) == 0
    assert "total 336,776   duplicates 0   rejects 4" in capsys.readouterr().out


def test_a_deleted_data_file_is_noticed(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next((warehouse / "lake" / "flights" / "data").glob("*.parquet")).unlink()
    assert check.main(warehouse) == 1
    assert "WRONG: the tables cannot be read: FileNotFoundError" in capsys.readouterr().out


def test_a_doubled_data_file_is_noticed(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = next((warehouse / "lake" / "flights" / "data").glob("*.parquet"))
    copy = original.with_name("copy.parquet")
    shutil.copy(original, copy)
    table, _ = look(Target(warehouse, "lake.flights"))
    assert table is not None
    table.add_files([copy.as_uri()])
    assert check.main(warehouse) == 1
    assert "WRONG: duplicates: 2" in capsys.readouterr().out  # every month has 2x,xxx flights


def test_a_month_that_was_never_loaded_is_noticed(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, _ = look(Target(warehouse, "lake.flights"))
    assert table is not None
    before = table.metadata.metadata_log[-1].metadata_file
    with sqlite3.connect(warehouse / "catalog.db") as catalog:
        catalog.execute("UPDATE iceberg_tables SET metadata_location = ? WHERE table_name = 'flights'", (before,))
    catalog.close()
    assert check.main(warehouse) == 1
    assert "WRONG: total: " in capsys.readouterr().out
