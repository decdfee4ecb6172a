from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from headway.core.profiles import load_settings
from headway.core.settings import LoopSettings
from headway.server.app import create_app

NAMES = [field.name for field in dataclasses.fields(LoopSettings)]


def running(folder: Path, **variables: str) -> list[str]:
    server = create_app(load_settings({"HEADWAY_HOME": str(folder), **variables}))
    return [loop.name for loop in server._loops]


def test_all_loops_run_unless_said_otherwise(tmp_path: Path) -> None:
    assert sorted(running(tmp_path)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_loop_has_a_switch_of_its_own(tmp_path: Path, name: str) -> None:
    left = running(tmp_path, **{f"HEADWAY_SERVER_LOOPS_{name.upper()}": "off"})
    assert sorted(left) == sorted(set(NAMES) - {name})
