"""The hot statements, as text: one file per statement, `<dialect>/<name>.sql` before `common/<name>.sql`.

What is written or read on every request goes to the driver's cursor as it stands in its file; everything
else is SQLAlchemy Core. A file's comments say what it is for and, in a dialect's folder, why it differs
from the other's. Parameters are `:name` in every file; `:rows` of a set-based statement is a JSON array on
SQLite (`json_each`) and one array per column on PostgreSQL (`unnest`, `= ANY`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

__all__ = ["numbered", "positional", "statement"]

_HERE = Path(__file__).parent
_COMMENT = re.compile(r"--[^\n]*")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


@cache
def statement(dialect: str, name: str) -> str:
    """The text of a statement, with the dialect's own parameters: `:name` (sqlite) or `%(name)s` (postgresql).

    Raises FileNotFoundError for a name that neither the dialect's folder nor `common` has.
    """
    text = _text(dialect, name)
    return text if dialect == "sqlite" else _PARAMETER.sub(r"%(\1)s", text.replace("%", "%%"))


@cache
def positional(dialect: str, name: str) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """The same with `?` or `%s`, and what picks the values of one row: drivers bind these faster than names."""
    text = _text(dialect, name)
    names: list[str] = _PARAMETER.findall(text)
    mark = "?" if dialect == "sqlite" else "%s"
    text = _PARAMETER.sub(mark, text if dialect == "sqlite" else text.replace("%", "%%"))
    if len(names) == 1:
        return text, lambda row: (row[names[0]],)
    return text, itemgetter(*names)


@cache
def numbered(name: str) -> tuple[bytes, tuple[str, ...]]:
    """A statement of PostgreSQL with `$1, $2, …`, as libpq takes it, and the names of its parameters in that order."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found.group(1), len(names) + 1)}"

    text = _PARAMETER.sub(number, _text("postgresql", name))
    return text.encode(), tuple(names)


def _text(dialect: str, name: str) -> str:
    path = _HERE / dialect / f"{name}.sql"
    if not path.exists():
        path = _HERE / "common" / f"{name}.sql"
    return " ".join(_COMMENT.sub("", path.read_text(encoding="utf-8")).split())
