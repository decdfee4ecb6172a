"""`python -m autoloader.demo.check WAREHOUSE`: count what is in the tables, through pyiceberg and nothing else.

Run by the demo in an interpreter of its own after everything else has ended. Exit code 0 only if every number is right.
"""

import sys
from pathlib import Path

import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog

from autoloader.demo.data import ADDED_COLUMN, ADDED_IN, FLIGHTS, MALFORMED

KEY = ["time_hour", "carrier", "flight"]
"""What tells one flight from every other in these data."""
TABLE, REJECTS = "lake.flights", "lake.flights_rejects"


def main(warehouse: Path) -> int:
    try:
        wrong = count(warehouse)
    except Exception as error:
        print(f"   WRONG: the tables cannot be read: {type(error).__name__}: {str(error).splitlines()[0]}")
        return 1
    for line in wrong:
        print(f"   WRONG: {line}")
    return 1 if wrong else 0


def count(warehouse: Path) -> list[str]:
    """Print the counts; returns what is wrong with them."""
    catalog = SqlCatalog("autoloader", uri=f"sqlite:///{warehouse / 'catalog.db'}", warehouse=warehouse.as_uri())
    flights = catalog.load_table(TABLE).scan(selected_fields=(*KEY, "month", ADDED_COLUMN)).to_arrow()
    rejects = catalog.load_table(REJECTS).scan().to_arrow()
    months = {row["values"]: row["counts"] for row in pc.value_counts(flights["month"]).to_pylist()}
    for half in (range(1, 7), range(7, 13)):
        print("   " + "  ".join(f"{month:>2}: {months.get(month, 0):>6,}" for month in half))
    doubled = flights.num_rows - flights.group_by(KEY).aggregate([]).num_rows
    named = flights.filter(pc.is_valid(flights[ADDED_COLUMN]))
    print(f"   total {flights.num_rows:,}   duplicates {doubled:,}   rejects {rejects.num_rows}")
    return [
        *_compare("total", flights.num_rows, sum(FLIGHTS.values())),
        *(
            line
            for month, expected in FLIGHTS.items()
            for line in _compare(f"month {month}", months.get(month), expected)
        ),
        *_compare("duplicates", doubled, 0),
        *_compare(f"flights with {ADDED_COLUMN}", named.num_rows, FLIGHTS[ADDED_IN]),
        *_compare(
            "reasons of rejects", sorted(rejects["reason"].to_pylist()), sorted(reason for _, reason in MALFORMED)
        ),
    ]


def _compare(what: str, found: object, expected: object) -> list[str]:
    return [] if found == expected else [f"{what}: {found}, expected {expected}"]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
