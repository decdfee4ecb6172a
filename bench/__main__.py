"""`python -m bench [ROW …]`: measure rows and print the table. See bench/README.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.rows import ROWS
from bench.run import Plan, run, show
from bench.targets.base import BenchError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure (default: all); see --list")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--show", type=Path, metavar="JSON", help="print the table of a saved run and end")
    parser.add_argument("--db", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--peer", choices=("prefect",), help="measure Prefect 3.8.8 too, alternating")
    parser.add_argument("--rounds", type=int, help="default: 1, with --peer 5")
    parser.add_argument("--quick", action="store_true", help="shorter loads and smaller data sets; not for the record")
    parser.add_argument("--no-save", action="store_true", help="do not write bench/results/*.json")
    parser.add_argument("--source", type=Path, help="measure the Headway of this checkout instead")
    parser.add_argument("--note", default="", help="kept in the JSON")
    return parser.parse_args()


def main() -> int:
    given = _arguments()
    names = [row.name for row in ROWS]
    if given.list:
        print("\n".join(names))
        return 0
    if given.show:
        try:
            show(given.show, ROWS)
        except (OSError, ValueError, KeyError) as error:
            print(f"Error: {given.show} is no saved run of this benchmark: {error}", file=sys.stderr)
            return 2
        return 0
    chosen = [
        name for name in names if not given.rows or any(name == r or name.startswith(f"{r}-") for r in given.rows)
    ]
    unknown = [r for r in given.rows if not any(name == r or name.startswith(f"{r}-") for name in names)]
    if unknown:
        print(f"No row is called {', '.join(unknown)}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    plan = Plan(
        rows=[row for row in ROWS if row.name in chosen],
        databases=("sqlite", "postgresql") if given.db == "both" else (given.db,),
        peer=given.peer is not None,
        rounds=given.rounds or (5 if given.peer else 1),
        quick=given.quick,
        save=not given.no_save,
        note=given.note,
        source=given.source,
    )
    try:
        run(plan)
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
