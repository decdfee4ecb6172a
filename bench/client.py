"""The load client's program: `python -m bench.client` reads a job (JSON) on stdin.

The job: script, arguments, url, connections, seconds, warm_up, units. It writes one JSON object a line:
{"at": "begin"}, {"at": "end"}, then the figures.
"""

from __future__ import annotations

import json
import sys

from bench.load import LoadClient
from bench.scripts import SCRIPTS


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    job = json.load(sys.stdin)
    start = SCRIPTS[job["script"]](job["arguments"])
    client = LoadClient(job["url"], job["connections"], start, _say)
    _say(json.dumps(client.run(job["seconds"], job["warm_up"], job.get("units"))))


if __name__ == "__main__":
    main()
