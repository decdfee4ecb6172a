"""Importing Headway, and making flows and tasks, loads nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("pydantic", "sqlalchemy", "starlette", "uvicorn", "rich", "aiohttp", "fsspec", "cloudpickle", "jinja2")


@pytest.mark.parametrize(
    "code",
    [
        "import headway",
        "from headway import flow, task, get_run_logger",
        "from headway import flow, task\n@task\ndef t(x: int): ...\n@flow\ndef f(x: int): t(x)",
    ],
)
def test_nothing_heavy_is_loaded_by(code: str) -> None:
    script = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    import headway

    for name in headway.__all__:
        assert getattr(headway, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    import headway

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = headway.nonsense
