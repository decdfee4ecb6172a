"""The judge. It knows the files of the round, the public API and /proc, and nothing of Headway's inside.

    violations, figures = await check(evidence, api)

What is proven, by kind of violation:

lost          every run and every state that was acknowledged to anybody is in the API's history
unfinished    every accepted run has reached a final state
untrue        COMPLETED only if a process ended well, FAILED only if one failed, CANCELLED only if somebody asked,
              CRASHED only with no retry left; and nothing that was well and within reach was ever called CRASHED
late          the state of a killed process's run is true within the bound of its death, or of the recovery
owners        no write of a process was accepted after one of its successor, or after its attempt was over
overlap       no process lived beside its successor for longer than the bound
over-limit    no limit was ever exceeded
slots         no slot is held at the end
orphan        no process of any run, and nothing a worker started, is left
stuck         the server wrote again soon after its disk had room
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chaos.api import Api
from chaos.evidence import Evidence
from chaos.load import DEPLOYMENTS, FINAL, NARROW_LIMIT, POOL, POOL_LIMIT, URGENT_LIMIT
from chaos.observed import Observed, State, observe
from chaos.processes import carrying, lives
from chaos.story import Life, Story

__all__ = ["Violation", "check", "judge"]

OCCUPYING = frozenset({"PENDING", "RUNNING", "CANCELLING"})
NOISE_SECONDS = 0.5
"""Clocks of processes and of the server's transactions, on one machine."""
SHOWN = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
LIMITS = {"narrow": NARROW_LIMIT, "urgent": URGENT_LIMIT, None: POOL_LIMIT}
"""By deployment; None is the pool."""


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    run: str | None
    text: str


Found = Iterator[Violation]


async def check(evidence: Evidence, api: Api) -> tuple[list[Violation], dict[str, Any]]:
    """Everything that is wrong, and what the proof rests on, in figures."""
    story = Story(evidence)
    seen = await observe(api, story.accepted, POOL, evidence.named("deployments").values())
    return judge(story, seen)


def judge(story: Story, seen: Observed) -> tuple[list[Violation], dict[str, Any]]:
    waits: list[tuple[float, bool]] = []
    found = [
        *_lost(story, seen),
        *_unfinished(story, seen),
        *_untrue(story, seen),
        *_late(story, seen, waits),
        *_owners(story, seen),
        *_overlap(story),
        *_over_limit(story, seen),
        *_slots(seen),
        *_orphans(story),
        *(
            Violation("stuck", None, f"The server did not write within 20 s of its recovery: {line}")
            for line in story.stuck
        ),
    ]
    return found, _figures(story, seen, waits)


def _lost(story: Story, seen: Observed) -> Found:
    known = {run: {state.id for state in history} for run, history in seen.histories.items()}
    for run in story.accepted:
        if run not in seen.runs:
            yield Violation("lost", run, "The run was acknowledged, and the API does not know it.")
    for run, state, who in story.acks:
        if run in known and state not in known[run]:
            yield Violation("lost", run, f"State {state} was acknowledged to {who} and is not in the history.")


def _unfinished(story: Story, seen: Observed) -> Found:
    for run in story.accepted:
        if run in seen.runs and seen.runs[run]["state_type"] not in FINAL:
            shown = seen.runs[run]
            yield Violation("unfinished", run, f"It is {shown['state_name']} (attempt {shown.get('attempt')}).")


# --- truth ---


def _untrue(story: Story, seen: Observed) -> Found:
    for run, shown in seen.runs.items():
        if run in story.driven:
            continue
        how = {life.how for life in story.lives.get(run, [])}
        type = shown["state_type"]
        if type == "COMPLETED" and "ok" not in how:
            yield Violation("untrue", run, f"It is COMPLETED, and no process of it ended well (they ended {how}).")
        if type == "FAILED" and "failed" not in how:
            yield Violation("untrue", run, f"It is FAILED, and no process of it failed (they ended {how}).")
        if type == "CANCELLED" and run not in story.cancelled:
            yield Violation("untrue", run, "It is CANCELLED, and nobody asked for that.")
        allowed = DEPLOYMENTS[story.accepted[run]["deployment"]].get("retries", story.plan.retries)
        crashes = sum(state.type == "CRASHED" for state in seen.histories[run])
        if type == "CRASHED" and crashes <= allowed:
            said = seen.histories[run][-1].message
            yield Violation("untrue", run, f"It is CRASHED with {allowed - crashes + 1} retries left: {said}")
        yield from _false_crashes(story, run, seen.histories[run])


def _false_crashes(story: Story, run: str, history: list[State]) -> Found:
    """CRASHED is said of what has died, or could not be heard of for a lease."""
    since = 0.0
    for state in history:
        if state.type != "CRASHED":
            continue
        ran = [life for life in story.lives.get(run, []) if since <= life.start <= state.time]
        since = state.time
        for life in ran[-1:]:
            frozen = any(begin <= state.time <= end + story.plan.truth_bound for begin, end in life.away)
            well = life.last > state.time + NOISE_SECONDS or (life.how == "ok" and life.killed is None)
            if well and not frozen:
                yield Violation(
                    "untrue", run, f"CRASHED at {state.time:.3f} ({state.message}), but pid {life.pid} of attempt "
                    f"{life.attempt} was well: last sign {life.last:.3f}, ended {life.how}."
                )  # fmt: skip


def _late(story: Story, seen: Observed, waits: list[tuple[float, bool]]) -> Found:
    for run, lives_of in story.lives.items():
        history = seen.histories.get(run, [])
        for life in lives_of:
            if life.killed is None or life.how == "ok":
                continue
            stale, true = _around_death(history, life)
            if stale is None:
                continue  # it was over, or somebody else's, when it died
            base = story.reachable_from(life.killed, story.plan.truth_bound, life.away)
            waited = (true.time if true is not None else float("inf")) - base
            waits.append((max(waited, 0.0), base == life.killed))
            if waited > story.plan.truth_bound:
                yield Violation(
                    "late", run, f"Attempt {life.attempt} (pid {life.pid}) died at {life.killed:.3f}; the run was "
                    f"{stale.name} for {waited:.1f} s after it could be known, bound {story.plan.truth_bound:.1f} s."
                )  # fmt: skip


def _around_death(history: list[State], life: Life) -> tuple[State | None, State | None]:
    """The state that the death of its process made untrue, and the one that put it right."""
    assert life.killed is not None
    before = [state for state in history if state.time <= life.killed + NOISE_SECONDS]
    mine = [state for state in before if state.owner == life.owner]
    if not mine:
        return None, None
    rest = history[history.index(mine[-1]) + 1 :]
    true = next((state for state in rest if not (state.type == "CANCELLING" or state.owner == life.owner)), None)
    if true is not None and true.time <= life.killed:
        return None, None
    return mine[-1], true


# --- ownership ---


def _owners(story: Story, seen: Observed) -> Found:
    for run, history in seen.histories.items():
        yield from _after_the_end(run, history)
        spans = [life for life in story.lives.get(run, []) if life.acks]
        for first, second in pairwise(spans):
            if first.owner != second.owner and first.acks[-1]["sent"] > second.acks[0]["time"]:
                yield Violation(
                    "owners", run, f"A write of {first.owner} was sent and accepted after one of {second.owner} "
                    f"had been acknowledged."
                )  # fmt: skip


def _after_the_end(run: str, history: list[State]) -> Found:
    """Once a process's writes were followed by an end, or by another process's, none of its own comes any more."""
    over: set[tuple[int, int]] = set()
    current: tuple[int, int] | None = None
    for state in history:
        owner = state.owner
        if owner is not None:
            if owner in over:
                yield Violation("owners", run, f"State '{state.message}' was accepted after the attempt was over.")
            if current is not None and owner != current:
                over.add(current)
            current = owner
        elif current is not None and state.type in ("CRASHED", "SCHEDULED", "PENDING", *FINAL):
            over.add(current)
            current = None


def _overlap(story: Story) -> Found:
    for run, lives_of in story.lives.items():
        for old, new in pairwise(lives_of):
            since = story.reachable_from(new.start, story.plan.overlap_bound, old.away)
            beside = old.last - since
            if beside > story.plan.overlap_bound:
                yield Violation(
                    "overlap", run, f"pid {old.pid} of attempt {old.attempt} lived {beside:.1f} s beside pid {new.pid} "
                    f"of attempt {new.attempt}, bound {story.plan.overlap_bound:.1f} s."
                )  # fmt: skip


# --- limits ---


def _over_limit(story: Story, seen: Observed) -> Found:
    for name, limit in LIMITS.items():
        runs = [
            run
            for run, line in story.accepted.items()
            if run not in story.driven and name in (None, line["deployment"])
        ]
        changes: list[tuple[float, int]] = []
        for run in runs:
            for begin, end in _occupied(seen.histories.get(run, [])):
                if end - NOISE_SECONDS > begin:
                    changes += [(begin, 1), (end - NOISE_SECONDS, -1)]
        held = 0
        for moment, change in sorted(changes):
            held += change
            if held > limit:
                yield Violation("over-limit", None, f"{name or 'The pool'} had {held} of {limit} at {moment:.3f}.")
                return


def _occupied(history: list[State]) -> Iterable[tuple[float, float]]:
    begin: float | None = None
    for state in history:
        if begin is None and state.type in OCCUPYING:
            begin = state.time
        elif begin is not None and state.type not in OCCUPYING:
            yield begin, state.time
            begin = None


def _slots(seen: Observed) -> Found:
    for what, held in seen.slots.items():
        if held:
            yield Violation("slots", None, f"{held} slots of {what} are held by nobody that runs.")


def _orphans(story: Story) -> Found:
    told = set()
    for run, lives_of in story.lives.items():
        for life in lives_of:
            if lives(life.pid, life.born):
                told.add(life.pid)
                yield Violation("orphan", run, f"pid {life.pid} of attempt {life.attempt} still runs.")
    for seen in carrying(story.marker):
        if seen.pid not in told:
            yield Violation("orphan", None, f"pid {seen.pid} of worker {seen.worker} still runs: {seen.command[:120]}")


def _figures(story: Story, seen: Observed, waits: list[tuple[float, bool]]) -> dict[str, Any]:
    everybody = [life for lives_of in story.lives.values() for life in lives_of]
    faults = Counter(fault["kind"] for fault in story.faults)
    held = Counter(fault["kind"] for fault in story.faults if fault["held"])
    reached = sorted(waited for waited, there in waits if there)
    beside = [old.last - new.start for lives_of in story.lives.values() for old, new in pairwise(lives_of)]
    return {
        "accepted_runs": len(story.accepted),
        "final_states": dict(Counter(run["state_type"] for run in seen.runs.values())),
        "acknowledged_states_found": len(story.acks),
        "processes": len(everybody),
        "runs_with_more_than_one_process": sum(len(lives_of) > 1 for lives_of in story.lives.values()),
        "crashed_states": sum(state.type == "CRASHED" for history in seen.histories.values() for state in history),
        "faults": {kind: {"done": count, "held": held[kind]} for kind, count in sorted(faults.items())},
        "faults_done": sum(faults.values()),
        "faults_that_hit_something_held": sum(held.values()),
        "outages": len(story.outages),
        "deaths_judged": len(waits),
        "deaths_while_the_control_plane_was_away": sum(not there for _, there in waits),
        "longest_wait_after_a_recovery": round(max([waited for waited, there in waits if not there], default=0.0), 2),
        "seconds_until_true": {name: round(reached[int((len(reached) - 1) * at)], 2) for name, at in SHOWN if reached},
        "longest_overlap_seconds": round(max([0.0, *beside]), 2),
    }  # fmt: skip
