"""`python -m chaos --db sqlite|postgresql|both`: rounds, a report under results/, exit code 1 on a violation."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chaos.plan import DEFAULT_TTL, KINDS, Plan, kinds_of
from chaos.root import is_root
from chaos.round import play

RESULTS = Path(__file__).with_name("results")
DATABASES = ("sqlite", "postgresql")


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--db", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=positive, default=2000, help="runs on workers, at least (default 2000)")
    parser.add_argument("--quota", type=positive, default=20, help="faults of each kind (default 20)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help="only these kinds of fault")
    parser.add_argument("--root", action="store_true", help="also the faults that need root")
    parser.add_argument("--short", action="store_true", help="one fault of each kind, 40 runs")
    parser.add_argument("--ttl", type=float, default=4.0, help="seconds a lease lives (default 4; 20 is Headway's)")
    parser.add_argument("--defaults", action="store_true", help="then a round with leases as they come, 3 of each kind")
    parser.add_argument("--most-seconds", type=float, default=1500.0, help="no new faults after this time, per round")
    parser.add_argument("--patience", type=float, default=1.0, help="stretch the bounds on a machine busy otherwise")
    parser.add_argument("--at-once", type=positive, default=24, help="runs under way at once")
    parser.add_argument("--keep", type=Path, help="keep the evidence in this folder")
    return parser.parse_args()


def databases(chosen: argparse.Namespace) -> tuple[str, ...]:
    return DATABASES if chosen.db == "both" else (chosen.db,)


def plans(chosen: argparse.Namespace) -> list[Plan]:
    found = []
    for database in databases(chosen):
        kinds = tuple(chosen.kinds or kinds_of(database, root=chosen.root))
        common: dict[str, Any] = {
            "database": database, "seed": chosen.seed, "kinds": kinds, "patience": chosen.patience,
            "most_seconds": chosen.most_seconds, "at_once": chosen.at_once,
        }  # fmt: skip
        size = (
            {"runs": 40, "lifecycles": 40, "quota": 1} if chosen.short else {"runs": chosen.runs, "quota": chosen.quota}
        )
        found.append(Plan(**common, **size, lease_ttl=chosen.ttl))
        if chosen.defaults:
            found.append(Plan(**common, runs=100, lifecycles=100, quota=3, lease_ttl=DEFAULT_TTL))
    return found


def main() -> int:
    chosen = parse()
    if chosen.root and not is_root():
        sys.stderr.write("--root: the faults disk-full and network-cut need root; run as root, or leave it out.\n")
        return 2
    # Told to end, it ends like at Ctrl-C: with all that it has started.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    for database in databases(chosen):
        foreign = set(chosen.kinds or ()) - {*kinds_of(database, root=True), *kinds_of(database, root=False)}
        if foreign:
            sys.stderr.write(
                f"--kinds: {', '.join(sorted(foreign))} cannot be done to {database}; choose it with --db.\n"
            )
            return 2
    bad = 0
    try:
        for plan in plans(chosen):
            bad += bool(one(plan, chosen.keep)["violations"])
    except KeyboardInterrupt:
        sys.stderr.write("Stopped before the end of the round: nothing is proven by it.\n")
        return 130
    return 1 if bad else 0


def one(plan: Plan, keep: Path | None) -> dict[str, Any]:
    name = f"{plan.database}-ttl{plan.lease_ttl:g}-seed{plan.seed}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    say(f"chaos {name}: {plan.quota} × {', '.join(plan.kinds)}; at least {plan.runs} runs; leases {plan.lease_ttl:g} s")
    with tempfile.TemporaryDirectory(prefix="headway-chaos-") as temporary:
        folder = keep / name if keep else Path(temporary) / "round"
        report = asyncio.run(play(plan, folder, say))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    summarise(report, path)
    return report


def summarise(report: dict[str, Any], path: Path) -> None:
    for key in ("seconds", "accepted_runs", "final_states", "acknowledged_states_found", "processes", "crashed_states",
                "faults",
                "share_held", "seconds_until_true", "longest_overlap_seconds", "unusual_answers"):  # fmt: skip
        say(f"  {key.replace('_', ' ')}: {report[key]}")
    say(f"  violations: {len(report['violations'])}")
    for violation in report["violations"][:20]:
        say(f"    {violation['kind']} {violation['run'] or ''} {violation['text']}")
    say(f"  report: {path}")


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
