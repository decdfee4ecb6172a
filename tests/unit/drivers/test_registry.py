"""Drivers are found by type, and loaded only when asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headway.core.errors import DriverError, DriverNotFound
from headway.drivers.process import ProcessDriver
from headway.drivers.registry import DriverRegistry, driver_class, known_types
from headway.testing.fake_driver import FakeDriver


def missing() -> type[FakeDriver]:
    raise ImportError("No module named 'kubernetes'")


def test_the_process_driver_is_installed() -> None:
    assert "process" in known_types()
    assert driver_class("process") is ProcessDriver


def test_an_unknown_type_names_the_known_ones() -> None:
    registry = DriverRegistry({"fake": lambda: FakeDriver, "process": lambda: ProcessDriver})
    with pytest.raises(DriverNotFound, match=r"type 'docker'; installed types: fake, process"):
        registry.load("docker")


def test_a_driver_whose_own_software_is_missing_says_so() -> None:
    with pytest.raises(DriverError, match=r"'kubernetes' cannot be loaded: No module named"):
        DriverRegistry({"kubernetes": missing}).load("kubernetes")


def test_listing_the_types_loads_no_driver() -> None:
    code = (
        "import sys; from headway.drivers.registry import known_types; assert 'process' in known_types();"
        "assert 'headway.drivers.process' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
