"""The command starts light: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("rich", "pydantic", "sqlalchemy", "alembic", "aiohttp", "starlette", "uvicorn", "msgspec", "jinja2")


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from headway.cli import main\n"
        f"sys.argv = ['headway', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:])


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ()])
def test_the_version_and_the_help_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert loaded_by(*arguments) & set(HEAVY) == set()


def test_importing_the_command_or_the_package_loads_not_even_click() -> None:
    code = "import sys, headway, headway.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) & {*HEAVY, "click"} == set()


def test_one_nouns_help_loads_neither_server_nor_tables() -> None:
    assert loaded_by("work-pool", "--help") & {"rich", "sqlalchemy", "starlette", "uvicorn", "aiohttp"} == set()
