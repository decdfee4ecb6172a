"""The report claims nothing that was not measured in the same run."""

from __future__ import annotations

import pytest
from bench.report import NoSamples, Results, ratio, table, verdict
from bench.rows.base import Line, Row, Samples, Scale
from bench.targets.base import Target

FASTER = Line("rate", "lifecycles", "runs/s", "more", "1.9", 200, 1000)
SMALLER = Line("ms", "latency", "ms", "less", "54", 15, 8)


def _unused(target: Target, scale: Scale) -> Samples:
    raise AssertionError("not measured here")


ROW = Row("lifecycle", (FASTER, SMALLER), _unused)


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.9]), ([400.0], []), ([], [])])
def test_a_ratio_without_raw_samples_of_both_is_refused(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(NoSamples):
        ratio(ours, theirs, "more")


def test_a_ratio_is_of_medians_and_says_how_many_times_better() -> None:
    assert ratio([100, 400, 500], [1, 2, 90], "more") == 200
    assert ratio([1, 2, 3], [10, 20, 30], "less") == 10


def test_no_times_are_shown_where_only_one_side_was_measured() -> None:
    results = Results()
    results.add("lifecycle", "headway-sqlite", {"rate": 400.0, "ms": 5.0})
    results.add("lifecycle", "prefect-sqlite", {"rate": 2.0})
    results.fail("lifecycle", "prefect-sqlite", "it did not finish")
    head, rate, latency = table([ROW], results, ["headway-sqlite", "prefect-sqlite"])
    times = head.index("times")
    assert rate[times] == "200× (sqlite)"
    assert latency[times] == ""
    assert latency[head.index("prefect-sqlite")] == "failed"


def test_without_the_reference_there_is_no_column_of_ratios() -> None:
    results = Results()
    results.add("lifecycle", "headway-sqlite", {"rate": 400.0})
    assert "times" not in table([ROW], results, ["headway-sqlite"])[0]


def test_a_row_is_reached_only_if_every_database_reaches_it() -> None:
    assert verdict(FASTER, [200.0, 900.0]) == "reached"
    assert verdict(FASTER, [199.0, 900.0]) == "MISSED"
    assert verdict(SMALLER, [15.0]) == "reached"
    assert verdict(SMALLER, [15.1]) == "MISSED"
    assert verdict(Line("x", "shown only", "ms"), [1.0]) == ""


def test_what_failed_on_a_database_is_missed() -> None:
    results = Results()
    results.add("lifecycle", "headway-sqlite", {"rate": 400.0, "ms": 5.0})
    results.fail("lifecycle", "headway-postgresql", "it broke")
    head, rate, _ = table([ROW], results, ["headway-sqlite", "headway-postgresql"])
    assert rate[head.index("headway-postgresql")] == "failed"
    assert rate[head.index("verdict")] == "MISSED"
