"""The loader of hot statements."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.store import sql
from headway.store.sql import statement

HERE = Path(sql.__file__).parent
NAMES = sorted({path.stem for path in HERE.glob("*/*.sql")})


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_can_be_had_for_both_databases(name: str) -> None:
    for dialect in ("sqlite", "postgresql"):
        text = statement(dialect, name)
        assert text
        assert "--" not in text


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        statement("sqlite", "no_such_statement")
