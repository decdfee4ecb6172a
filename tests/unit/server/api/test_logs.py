"""Log lines: each kept once, shown in the order (time, attempt, position), downloaded as CSV."""

from __future__ import annotations

import csv
import io
from uuid import uuid4

import pytest

from headway.core.ids import new_id

RUN = str(uuid4())


def line(message: str, second: int = 0, **more: object) -> dict:
    time = f"2026-01-15T12:00:{second:02d}Z"
    return {"name": "flow", "level": 20, "message": message, "timestamp": time, "flow_run_id": RUN, **more}


def messages(asker, **query: object) -> list[str]:
    return [one["message"] for one in asker.post("/logs/filter", query).body]


def test_lines_come_back_in_the_order_of_their_time(asker) -> None:
    assert asker.post("/logs/", [line("later", 9), line("sooner", 1)]).status == 201
    assert messages(asker) == ["sooner", "later"]
    assert messages(asker, sort="TIMESTAMP_DESC") == ["later", "sooner"]
    assert messages(asker, limit=1, offset=1) == ["later"]


def test_lines_of_one_moment_are_ordered_by_attempt_and_position(asker) -> None:
    asker.post("/logs/", [line("2/0", attempt=2, position=0), line("1/9", attempt=1, position=9)])
    asker.post("/logs/", [line("1/0", position=0)], headers={"headway-attempt": "1"})
    assert messages(asker) == ["1/0", "1/9", "2/0"]


def test_a_line_whose_id_is_known_is_ignored(asker) -> None:
    known = str(new_id())
    asker.post("/logs/", [line("once", id=known), line("twice", id=known)])
    assert asker.post("/logs/", [line("again", id=known), line("new", 1)]).status == 201
    assert messages(asker) == ["once", "new"]


def test_a_line_with_a_byte_that_no_text_may_hold_does_not_cost_its_batch(asker) -> None:
    assert asker.post("/logs/", [line("a\0b"), line("c", 1)]).status == 201
    assert messages(asker) == ["a\ufffdb", "c"]


def test_lines_are_filtered_by_level_run_task_and_time(asker) -> None:
    task = str(uuid4())
    asker.post(
        "/logs/",
        [
            line("quiet", level=10),
            line("loud", 5, level=40),
            line("task", 7, task_run_id=task),
            line("else", flow_run_id=None),
        ],
    )
    assert messages(asker, logs={"level": {"ge_": 30}}) == ["loud"]
    assert messages(asker, logs={"flow_run_id": {"any_": [RUN]}, "level": {"le_": 20}}) == ["quiet", "task"]
    assert messages(asker, logs={"task_run_id": {"any_": [task]}}) == ["task"]
    assert messages(asker, logs={"timestamp": {"after_": "2026-01-15T12:00:05Z"}}) == ["loud", "task"]


def test_a_line_of_more_than_a_megabyte_is_cut_and_says_so(asker) -> None:
    asker.post("/logs/", [line("ü" * 600_000), line("ü" * 500_000, 1)])
    cut, whole = messages(asker)
    assert len(cut.encode()) <= 1_000_000
    assert cut.endswith("ü … [cut at 1 MB]")
    assert whole == "ü" * 500_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([{"level": 1}], "name"),
        ([line("x", colour="red")], "colour"),
        ([line("x", level=10**20)], "level"),
        ({}, "array"),
    ],
)
def test_lines_that_are_none_are_refused_with_the_reason(asker, body, words) -> None:
    refused = asker.post("/logs/", body)
    assert refused.status == 422
    assert words in str(refused.body)
    assert messages(asker) == []


def test_an_empty_batch_is_fine(asker) -> None:
    assert asker.post("/logs/", []).status == 201


def test_the_download_is_a_csv_of_every_line_of_the_run(asker) -> None:
    flow = asker.post("/flows/", {"name": "etl"}).body["id"]
    run = asker.post("/flow_runs/", {"flow_id": flow, "name": "nightly ü"}).body["id"]
    lines = [line(f'number {n}, "quoted"\nsecond line', flow_run_id=run, position=n) for n in range(1500)]
    asker.post("/logs/", [*lines, line("of another run")])
    answer = asker.get(f"/flow_runs/{run}/logs/download")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''nightly%20%C3%BC-logs.csv")
    heading, *rows = csv.reader(io.StringIO(answer.body, newline=""))
    assert heading == ["timestamp", "level", "flow_run_id", "task_run_id", "message"]
    assert [row[4] for row in rows] == [one["message"] for one in lines]
    assert rows[0][:4] == ["2026-01-15 12:00:00+00:00", "20", run, ""]
    assert asker.get(f"/flow_runs/{uuid4()}/logs/download").status == 404
