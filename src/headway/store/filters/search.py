"""Text search as log and event filters write it: words, "phrases", -excluded (or !), +required."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TextSearch", "parse_search"]

TERM = re.compile(r'(?P<sign>[-!+]?)(?:"(?P<phrase>(?:\\.|[^"\\])*)(?:"|$)|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class TextSearch:
    """At least one of `include` (if there is any), none of `exclude`, all of `require`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    require: tuple[str, ...] = ()


def parse_search(query: str) -> TextSearch:
    """The terms of a query; a quote that is never closed reaches to the end."""
    found: dict[str, list[str]] = {"": [], "-": [], "+": []}
    for term in TERM.finditer(query):
        sign = term["sign"].replace("!", "-")
        text = re.sub(r"\\(.)", r"\1", term["phrase"] or "") or term["word"] or ""
        if text.strip() and text not in {"-", "+", "!"}:
            found[sign].append(text)
    return TextSearch(tuple(found[""]), tuple(found["-"]), tuple(found["+"]))
