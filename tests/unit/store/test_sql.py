"""The loader of hot statements."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.store import sql
from headway.store.sql import positional, statement

HERE = Path(sql.__file__).parent
SHARED = sorted({path.stem for folder in ("common", "sqlite") for path in HERE.glob(f"{folder}/*.sql")})


@pytest.mark.parametrize("name", SHARED)
def test_every_statement_can_be_had_for_both_databases(name: str) -> None:
    for dialect in ("sqlite", "postgresql"):
        text = statement(dialect, name)
        assert text
        assert "--" not in text


def test_parameters_are_the_drivers_own() -> None:
    assert ":ids" in statement("sqlite", "slots")
    assert "%(ids)s" in statement("postgresql", "slots")
    text, values = positional("postgresql", "add_slot")
    assert ":" not in text
    row = dict.fromkeys(("flow_run_id", "limit_id", "kind", "attempt", "lease_id", "taken"), 1)
    assert text.count("%s") == len(values(row)) == len(row)


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        statement("sqlite", "no_such_statement")
