"""Property tests draw the same examples each time, and not too many; `HYPOTHESIS_PROFILE=search` looks further."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=False, database=None, suppress_health_check=SLOW
)
settings.register_profile("search", deadline=None, max_examples=3000, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
