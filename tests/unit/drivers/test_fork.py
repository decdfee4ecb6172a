"""Warm starts with real processes: the public suite, and what a forked run must and must not inherit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headway.drivers.base import Driver, DriverContext, Job
from headway.drivers.process import Process, ProcessDriver
from headway.testing.driver_suite import DriverSuite, inherited_environment
from headway.testing.forked_script import SCRIPT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm starts are for Linux")


class ScriptDriver(ProcessDriver):
    engine = "headway.testing.forked_script"


class TestForkedRuns(DriverSuite):
    def make_driver(self, home: Path) -> Driver:
        return ScriptDriver(DriverContext(home=home, pool=self.pool))

    def make_job(self, script: str, **changes: Any) -> Job:
        fields: dict[str, Any] = {
            "flow_run_id": uuid4(),
            "attempt": 1,
            "name": "brave-otter",
            "pool": self.pool,
            "configuration": Process(),
            "env": inherited_environment(),
        }
        given = {**fields, **changes}
        return Job(**{**given, "env": {**given["env"], SCRIPT: script, "PYTHONUNBUFFERED": "1"}})

    def make_broken_job(self) -> Job | None:
        return self.make_job("", configuration=Process(working_dir="/no/such/folder/anywhere"))
