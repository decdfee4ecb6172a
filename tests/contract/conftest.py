"""Tests against the wire; with `--live` also against a real reference server (see live/servers.py)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
