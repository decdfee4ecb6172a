"""A preview shows a sample, the types and the rows that would be rejected, and writes nothing at all."""

from collections.abc import Callable

from autoloader.lake import look
from autoloader.load import waiting
from autoloader.preview import as_lines, preview

Flights = Callable[..., str]


def test_a_preview_shows_sample_schema_and_would_be_rejects(lake, flights: Flights) -> None:
    good = [f"1,UA,{n}" for n in range(20)]
    lake.put("jan.csv.gz", flights(*good, "1,UA", "1,UA,late"))
    [shown] = preview(lake.source, lake.target)
    assert shown.schema == {"month": "long", "carrier": "string", "delay": "long"}
    assert shown.sample[0] == {"month": 1, "carrier": "UA", "delay": 0}
    assert len(shown.sample) == 5
    assert (shown.rows, shown.rejected, shown.complete) == (20, 2, True)
    assert {reject.row: reject.reason for reject in shown.rejects} == {
        22: "expected 3 fields, found 2",
        23: "delay 'late' is not a whole number",
    }
    lines = as_lines([shown])
    assert lines[0].endswith("jan.csv.gz (all of it): 20 rows, 2 would be rejected")
    assert "  would reject row 23: delay 'late' is not a whole number" in lines


def test_a_preview_writes_nothing_not_even_a_folder(lake, flights: Flights) -> None:
    lake.put("jan.csv", flights("1,UA,5"))
    preview(lake.source, lake.target)
    assert not lake.target.warehouse.exists()
    assert look(lake.target) == (None, None)


def test_a_preview_leaves_the_tables_as_they_are_and_names_new_columns(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5", "1")))
    before = [table.metadata_location for table in look(lake.target) if table]
    lake.put("feb.csv", flights("2,UA,5,9", header="month,carrier,delay,fuel"))
    lake.put("mar.csv", "nothing;like;it\n1;2;3\n")
    shown = preview(lake.source, lake.target)
    assert [file.added for file in shown] == [["fuel"], []]
    assert shown[1].would_be_set_aside is not None
    assert "none of its columns" in as_lines(shown)[-1]
    assert [table.metadata_location for table in look(lake.target) if table] == before
    assert len(waiting(lake.source, lake.target)) == 2


def test_with_nothing_waiting_it_says_so(lake) -> None:
    assert as_lines(preview(lake.source, lake.target)) == ["nothing is waiting"]
