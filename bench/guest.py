"""A script of a user that is told what to do line by line and tells figures back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.targets.base import BenchError, Target

_MARK = "FIGURES "


class Guest:
    """`python script arguments…` in the target's environment."""

    def __init__(self, target: Target, script: Path, *arguments: str) -> None:
        self._errors = (target.home / f"{script.stem}.err").open("w+")
        self._process = subprocess.Popen(
            [str(target.python), str(script), *arguments],
            env=target.env(),
            cwd=script.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def figures(self) -> dict[str, Any]:
        """The next figures it tells. BenchError if it ends without."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return dict(json.loads(line.removeprefix(_MARK)))
        self._errors.seek(0)
        raise BenchError(f"The script ended without figures: {self._errors.read()[-1500:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
