"""The `process` driver: runs on the worker's own machine.

`driver` is the driver, `settings` what can be set, `launch` starts, `attempts` is an attempt's folder, `shim`
the parent of a run, `identity` tells processes apart, `tail` reads output, `inline` runs in the worker itself.
"""

from headway.drivers.process.driver import ProcessDriver
from headway.drivers.process.settings import Process

__all__ = ["Process", "ProcessDriver"]
