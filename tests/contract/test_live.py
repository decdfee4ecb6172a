"""Every route of issue 2, called on a live reference server and on ours: same status, same keys, same kinds.

What differs stands in differences.toml with its reason; what is not listed fails, and so does a stale entry.
Run it with `make contract`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live import differences
from live.play import Played, play
from live.scenario import OUT_OF_SCOPE, steps
from live.servers import headway, reference

REFERENCE = Path(__file__).parent / "reference" / "openapi-3.8.8.json"


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Played]:
    if not request.config.getoption("--live", default=False):
        pytest.skip("the live comparison runs with `make contract`")
    home = tmp_path_factory.mktemp("contract")
    with reference(home / "reference") as theirs, headway(home / "headway") as ours:
        theirs.wait_until_ready()
        ours.wait_until_ready()
        return play(steps(), theirs, ours)


def test_every_route_of_the_reference_in_these_groups_is_called() -> None:
    paths = json.loads(REFERENCE.read_text())["paths"]
    promised = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    called = {step.route for step in steps()}
    assert promised - called == set(OUT_OF_SCOPE)


def test_every_step_has_a_name_of_its_own() -> None:
    names = [step.name for step in steps()]
    assert len(names) == len(set(names))


@pytest.mark.timeout(900)
def test_replies_differ_only_where_the_reviewed_list_says_so(played: list[Played], record_property: Any) -> None:
    entries = differences.load()
    unlisted = [
        f"{one.step.name}  {gap.at}  {gap.what}"
        for one in played
        for gap in one.gaps
        if not any(entry.covers(one.step.name, one.step.route, gap) for entry in entries)
    ]
    alike = sum(not one.gaps for one in played)
    routes = len({one.step.route for one in played})
    record_property("note", f"{len(played)} calls of {routes} routes on both servers, {alike} alike, the rest reviewed")
    assert not unlisted, "not in differences.toml:\n" + "\n".join(unlisted)


@pytest.mark.timeout(900)
def test_no_entry_of_the_reviewed_list_is_stale(played: list[Played]) -> None:
    stale = [
        entry
        for entry in differences.load()
        if not any(entry.covers(one.step.name, one.step.route, gap) for one in played for gap in one.gaps)
    ]
    assert not stale, "in differences.toml, but no longer so:\n" + "\n".join(map(str, stale))
