"""Names that were probably meant: one wording for every name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "suggestion"]

_SHOWN = 5


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names most like `name`, best first; case makes no difference."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.5)
    return [by_folded[folded] for folded in found]


def suggestion(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A sentence to append to "… not found.": the nearest names, else what there is, else `otherwise`."""
    names = sorted(set(known))
    if near := nearest(name, names):
        return f" Did you mean {' or '.join(repr(found) for found in near)}?"
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f" There are: {', '.join(names[:_SHOWN])}{more}."
    return f" {otherwise}" if otherwise else ""
