"""The commit loop: ours, not the library's; it looks for the identity again after everything that is not a success."""

from collections.abc import Callable
from typing import Any

import pytest
from autoloader.commit import Hooks
from autoloader.errors import CommitGaveUp, LibraryRetriesOn
from autoloader.identity import Identity
from autoloader.lake import LIBRARY_RETRIES
from autoloader.load import Status
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from sqlalchemy.exc import OperationalError

from autoloader import commit as commit_module

Flights = Callable[..., str]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_module.time, "sleep", lambda seconds: None)


class Commits:
    """Counts what reaches the catalog and lets each call be followed or replaced by an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        original = SqlCatalog.commit_table

        def counted(catalog: SqlCatalog, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.before:
                raise self.before.pop(0)
            answer = original(catalog, *args, **kwargs)
            if self.after:
                raise self.after.pop(0)
            return answer

        monkeypatch.setattr(SqlCatalog, "commit_table", counted)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    return Commits(monkeypatch)


def locked() -> Exception:
    return OperationalError("UPDATE", {}, Exception("database is locked"))


def test_the_library_s_own_retries_are_off_in_every_table_and_it_makes_none(lake, flights: Flights, commits) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5", "1")))
    catalog = lake.target.catalog()
    for name in (lake.target.table, lake.target.rejects):
        assert catalog.load_table(name).metadata.properties[LIBRARY_RETRIES] == "0"
    commits.calls = 0
    commits.before = [CommitFailedException("somebody else was first")]
    seen: list[tuple[int, str]] = []
    hooks = Hooks(on_conflict=lambda identity, reason: seen.append((commits.calls, reason)))
    assert lake.load(lake.put("feb.csv", flights("2,UA,5")), hooks).conflicts == 1
    assert seen == [(1, "conflict: somebody else was first")]  # one call to the catalog, then it is our turn again
    assert commits.calls == 2


@pytest.mark.parametrize("value", ["4", None])
def test_a_table_whose_library_retries_are_on_is_refused(lake, flights: Flights, value: str | None) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    with lake.target.catalog().load_table(lake.target.table).transaction() as transaction:
        if value is None:
            transaction.remove_properties(LIBRARY_RETRIES)
        else:
            transaction.set_properties({LIBRARY_RETRIES: value})
    with pytest.raises(LibraryRetriesOn, match=r"commit\.retry\.num-retries = 4; .* needs 0"):
        lake.load(lake.put("feb.csv", flights("2,UA,5")))
    assert len(lake.rows()) == 1


def test_a_conflict_is_retried_on_the_table_as_it_is_then(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    other = lake.put("mar.csv", flights("3,UA,5,x", header="month,carrier,delay,note"))
    met: list[str] = []
    reasons: list[str] = []

    def meet(identity: Identity) -> None:
        met.append(identity.path)
        if len(met) == 1:
            assert lake.load(other).conflicts == 0

    hooks = Hooks(before_commit=meet, on_conflict=lambda identity, reason: reasons.append(reason))
    outcome = lake.load(lake.put("feb.csv", flights("2,UA,5")), hooks)
    assert (outcome.status, outcome.conflicts, len(met)) == (Status.LOADED, 1, 2)
    assert reasons[0].startswith("conflict: ")
    assert sorted(row["month"] for row in lake.rows()) == [1, 2, 3]


def test_the_other_loader_being_first_with_the_same_file_is_found_out_after_the_conflict(
    lake, flights: Flights
) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    path = lake.put("feb.csv", flights("2,UA,5", "2"))
    results: list[Any] = []

    def meet(identity: Identity) -> None:
        if not results:
            results.append(None)
            results.append(lake.load(path))

    outcome = lake.load(path, Hooks(before_commit=meet))
    assert results[1].status == Status.LOADED
    assert outcome.status == Status.ALREADY
    assert sorted(row["month"] for row in lake.rows()) == [1, 2]
    assert len(lake.rejects()) == 1


@pytest.mark.parametrize("error", [locked(), CommitStateUnknownException("no answer"), OSError("broken pipe")])
@pytest.mark.parametrize("landed", [True, False])
def test_an_unknown_outcome_is_looked_up_not_guessed(
    lake, flights: Flights, commits, error: Exception, landed: bool
) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    (commits.after if landed else commits.before).append(error)
    reasons: list[str] = []
    hooks = Hooks(on_conflict=lambda identity, reason: reasons.append(reason))
    outcome = lake.load(lake.put("feb.csv", flights("2,UA,5")), hooks)
    assert outcome.status == (Status.ALREADY if landed else Status.LOADED)
    assert [reason.split(":")[0] for reason in reasons] == ["unknown outcome"]
    assert sorted(row["month"] for row in lake.rows()) == [1, 2]


def test_an_error_that_no_retry_can_mend_is_not_retried(lake, flights: Flights, commits) -> None:
    commits.before = [ValueError("a bug")]
    with pytest.raises(ValueError, match="a bug"):
        lake.load(lake.put("jan.csv", flights("1,UA,5")))
    assert commits.calls == 1


def test_it_gives_up_after_many_conflicts_and_says_so(lake, flights: Flights, commits) -> None:
    commits.before = [CommitFailedException("again")] * 99
    with pytest.raises(CommitGaveUp, match=r"was not added in 30 rounds; last: conflict: again"):
        lake.load(lake.put("jan.csv", flights("1,UA,5")))
    assert lake.rows() == []


def test_two_contents_racing_for_one_path_end_with_one_loaded_and_one_set_aside(lake, flights: Flights) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    path = lake.put("feb.csv", flights("2,UA,5"))
    met: list[str] = []

    def meet(identity: Identity) -> None:
        if not met:
            met.append(identity.path)
            lake.put("feb.csv", flights("2,DL,6"))
            assert lake.load(path).status == Status.LOADED

    outcome = lake.load(path, Hooks(before_commit=meet))
    assert outcome.status == Status.SET_ASIDE
    assert [row["carrier"] for row in lake.rows() if row["month"] == 2] == ["DL"]
    assert [row["kind"] for row in lake.rejects()] == ["file"]


def test_a_column_added_by_another_loader_with_another_type_is_taken_as_the_table_has_it(
    lake, flights: Flights
) -> None:
    lake.load(lake.put("jan.csv", flights("1,UA,5")))
    wide = "month,carrier,delay,fuel"
    other = lake.put("mar.csv", flights("3,UA,5,1.5", header=wide))
    met: list[str] = []

    def meet(identity: Identity) -> None:
        met.append(identity.path)
        if len(met) == 1:
            lake.load(other)

    outcome = lake.load(lake.put("feb.csv", flights("2,UA,5,7", header=wide)), Hooks(before_commit=meet))
    assert (outcome.status, outcome.rows, outcome.rejected) == (Status.LOADED, 1, 0)
    assert {row["month"]: row["fuel"] for row in lake.rows()} == {1: None, 2: 7.0, 3: 1.5}


def test_a_crash_between_rejects_and_rows_brings_neither_twice(lake, flights: Flights) -> None:
    path = lake.put("jan.csv", flights("1,UA,5", "1"))

    def die_before_the_rows(identity: Identity) -> None:
        if lake.rejects():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lake.load(path, Hooks(before_commit=die_before_the_rows))
    assert (len(lake.rejects()), len(lake.rows())) == (1, 0)
    assert lake.load(path).status == Status.LOADED
    assert (len(lake.rejects()), len(lake.rows())) == (1, 1)
