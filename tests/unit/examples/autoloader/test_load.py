"""Each file once: identity in the rows, rejects with reasons, changed files aside, columns that come later."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from autoloader.convert import sweep
from autoloader.errors import SettingsError
from autoloader.identity import Identity, identify
from autoloader.lake import Target
from autoloader.load import Source, Status, candidates, load_file, waiting

from autoloader import lake as lake_module

Flights = Callable[..., str]


def test_rows_carry_the_identity_of_the_file_that_brought_them(lake, flights: Flights) -> None:
    path = lake.put("jan.csv", flights("1,UA,5", "1,AA,NA"))
    outcome = lake.load(path)
    assert (outcome.status, outcome.rows, outcome.rejected, outcome.conflicts) == (Status.LOADED, 2, 0, 0)
    identity = identify(path)
    assert lake.rows() == [
        {"month": 1, "carrier": "UA", "delay": 5, "_source_path": identity.path,
         "_source_hash": identity.content_hash, "_source_row": 2},
        {"month": 1, "carrier": "AA", "delay": None, "_source_path": identity.path,
         "_source_hash": identity.content_hash, "_source_row": 3},
    ]  # fmt: skip


def test_a_file_is_loaded_once_however_often_it_is_offered(lake, flights: Flights) -> None:
    path = lake.put("jan.csv.gz", flights("1,UA,5"))
    statuses = [lake.load(path).status for _ in range(3)]
    assert statuses == [Status.LOADED, Status.ALREADY, Status.ALREADY]
    assert len(lake.rows()) == 1


def test_the_same_content_at_another_path_is_another_file(lake, flights: Flights) -> None:
    text = flights("1,UA,5")
    assert lake.load(lake.put("a.csv", text)).status == Status.LOADED
    assert lake.load(lake.put("b.csv", text)).status == Status.LOADED
    assert len(lake.rows()) == 2


def test_a_changed_file_at_a_known_path_is_set_aside_with_a_reason_once(lake, flights: Flights) -> None:
    path = lake.put("jan.csv", flights("1,UA,5"))
    lake.load(path)
    lake.put("jan.csv", flights("1,UA,5", "1,DL,7"))
    outcome = lake.load(path)
    assert outcome.status == Status.SET_ASIDE
    assert "content has changed since it was loaded" in outcome.reason
    assert lake.load(path).status == Status.ALREADY
    assert [row["carrier"] for row in lake.rows()] == ["UA"]
    [reject] = lake.rejects()
    assert (reject["kind"], reject["_source_path"], reject["reason"]) == ("file", str(path), outcome.reason)
    assert reject["_source_hash"] == identify(path).content_hash


def test_malformed_rows_go_to_a_table_of_their_own_with_reasons(lake, flights: Flights) -> None:
    good = [f"1,UA,{n}" for n in range(20)]
    path = lake.put("jan.csv", flights(*good, "1,UA", "1,UA,late", "1,UA,2,3", "x,UA,y"))
    outcome = lake.load(path)
    assert (outcome.rows, outcome.rejected) == (20, 4)
    assert len(lake.rows()) == 20
    rejects = {row["_source_row"]: (row["reason"], row["line"]) for row in lake.rejects()}
    assert rejects == {
        22: ("expected 3 fields, found 2", "1,UA"),
        23: ("delay 'late' is not a whole number", "1,UA,late"),
        24: ("expected 3 fields, found 4", "1,UA,2,3"),
        25: ("month 'x' is not a whole number; delay 'y' is not a whole number", "x,UA,y"),
    }
    assert {row["_source_hash"] for row in lake.rejects()} == {identify(path).content_hash}


def test_an_added_column_arrives_with_the_file_in_one_snapshot(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    table = lake.target.catalog().load_table(lake.target.table)
    snapshots, schemas = len(table.snapshots()), len(table.schemas())
    path = lake.put("feb.csv", flights("2,UA,5,1.5", header="month,carrier,delay,fuel"))
    assert lake.load(path).added == ("fuel",)
    table.refresh()
    assert (len(table.snapshots()), len(table.schemas())) == (snapshots + 1, schemas + 1)
    assert len(table.metadata.metadata_log) == 2  # made, January; February is the present one
    assert {row["month"]: row["fuel"] for row in lake.rows()} == {1: None, 2: 1.5}


def test_a_file_without_some_of_the_columns_leaves_them_empty(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    lake.load(lake.put("feb.csv", flights("2,DL", header="month,carrier")))
    assert {row["month"]: row["delay"] for row in lake.rows()} == {1: 5, 2: None}


def test_later_files_are_read_with_the_table_s_types(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    outcome = lake.load(lake.put("feb.csv", flights("2,UA,5.5", "2,UA,6")))
    assert (outcome.rows, outcome.rejected) == (1, 1)
    assert lake.rejects()[0]["reason"] == "delay '5.5' is not a whole number"


def test_declared_types_come_before_what_is_inferred(lake, flights: Flights) -> None:
    path = lake.put("jan.csv", flights("1,UA,5"))
    load_file(path, Source(lake.source.folder, types={"delay": "double"}), lake.target)
    assert lake.rows()[0]["delay"] == 5.0


def test_a_file_of_another_kind_does_not_change_the_table(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    outcome = lake.load(lake.put("semicolons.csv", "month;carrier\n1;UA\n"))
    assert outcome.status == Status.SET_ASIDE
    assert "none of its columns (month;carrier) is in the table" in outcome.reason
    assert "month;carrier" not in lake.rows()[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "the file is empty"), ("a,b\n", "it has no rows"), ("a,b\n1\n2\n", "no row of it could be loaded")],
)
def test_a_file_without_a_usable_row_is_set_aside_once(lake, text: str, reason: str) -> None:
    path = lake.put("jan.csv", text)
    outcome = lake.load(path)
    assert outcome.status == Status.SET_ASIDE
    assert reason in outcome.reason
    assert lake.load(path).status == Status.ALREADY
    assert len([row for row in lake.rejects() if row["kind"] == "file"]) == 1
    assert waiting(lake.source, lake.target) == []


def test_a_corrected_file_may_come_back_under_the_name_of_one_that_brought_nothing(lake, flights: Flights) -> None:
    path = lake.put("jan.csv", "")
    lake.load(path)
    lake.put("jan.csv", flights("1,UA,5"))
    assert [found.path for found in waiting(lake.source, lake.target)] == [path]
    assert lake.load(path).status == Status.LOADED


def test_a_file_that_is_still_written_to_is_left_for_the_next_trigger(
    lake, flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lake.put("jan.csv", flights("1,UA,5"))

    def identified_earlier(path: Path) -> Identity:
        identity = identify(path)
        lake.put("jan.csv", flights("1,UA,5", "1,DL,7"))
        return identity

    monkeypatch.setattr("autoloader.load.identify", identified_earlier)
    assert lake.load(path).status == Status.CHANGING
    assert lake.rows() == lake.rejects() == []
    monkeypatch.undo()
    assert lake.load(path).rows == 2


def test_waiting_is_what_has_no_rows_in_the_table_with_its_size_on_disk(lake, flights: Flights) -> None:
    loaded = lake.put("a.csv", flights("1,UA,5"))
    lake.load(loaded)
    packed = lake.put("b.csv.gz", flights(*["2,UA,5"] * 1000))
    lake.put(".hidden.csv", "x\n1\n")
    lake.put("notes.txt", "not ours")
    [found] = waiting(lake.source, lake.target)
    assert (found.path, found.size) == (packed, packed.stat().st_size)
    assert [path.name for path in candidates(lake.source)] == ["a.csv", "b.csv.gz"]


def test_a_source_folder_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"source folder .*gone does not exist; create it"):
        candidates(Source(tmp_path / "gone"))


def test_a_table_name_without_a_namespace_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"table 'flights' is not of the form namespace\.table"):
        Target(tmp_path, "flights")


def test_data_files_are_named_after_the_identity_and_no_other_file_is_left(lake, flights: Flights) -> None:
    path = lake.put("jan.csv", flights("1,UA,5", "1"))
    lake.load(path)
    names = [file.name for file in lake.target.folder(lake.target.table).iterdir()]
    assert len(names) == 1
    assert names[0].startswith(identify(path).name)
    assert [file.name for file in lake.target.folder(lake.target.rejects).iterdir()] == names


def test_the_identity_is_found_in_the_rows_when_data_files_were_merged(lake, flights: Flights) -> None:
    for name in ("a.csv", "b.csv"):
        lake.load(lake.put(name, flights("1,UA,5")))
    table = lake.target.catalog().load_table(lake.target.table)
    table.overwrite(table.scan().to_arrow())  # one data file with two identities, as compaction leaves it
    assert len(list(table.scan().plan_files())) == 1
    assert set(lake_module.known(table)) == {str(lake.source.folder / name) for name in ("a.csv", "b.csv")}
    assert lake.load(lake.source.folder / "a.csv").status == Status.ALREADY
    assert len(lake.rows()) == 2


def test_what_a_killed_loader_left_half_written_is_swept_away_after_a_day(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    folder = lake.target.folder(lake.target.table)
    old, young = folder / ".old.partial", folder / ".young.partial"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    assert sweep(folder) == 1
    assert sorted(path.suffix for path in folder.iterdir()) == [".parquet", ".partial"]
    assert young.exists()
