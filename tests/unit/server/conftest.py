"""Services, loops and routes answer the same on both databases: every test that has a folder is run on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.testing.databases import SharedDatabase, point_to
from headway.testing.postgres import Cluster


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tmp_path" in metafunc.fixturenames:
        metafunc.fixturenames.insert(0, "stored_in")
        metafunc.parametrize("stored_in", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def stored_in(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if request.param == "postgresql":
        shared: SharedDatabase = request.getfixturevalue("shared_database")
        point_to(tmp_path, shared.empty())


@pytest.fixture(scope="session")
def shared_database(postgres: Cluster) -> SharedDatabase:
    return SharedDatabase(postgres)
