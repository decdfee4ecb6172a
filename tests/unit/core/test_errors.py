import inspect

from headway.core import errors
from headway.core.errors import HeadwayError, WorkerTypeNotSupportedError


def test_a_worker_of_the_wrong_type_is_told_exactly_what_the_design_says() -> None:
    error = WorkerTypeNotSupportedError("process", "kubernetes")
    assert error.message == (
        "Worker type 'process' is not compatible with work pool type 'kubernetes'. Worker type must be 'kubernetes'."
    )
    assert (error.status, error.code) == (409, "WorkerTypeNotSupportedError")


def test_every_error_is_in_the_family_in_the_drawing_and_exported() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
    assert all(issubclass(c, HeadwayError) for c in classes)
    assert errors.__doc__ is not None
    assert {c.__name__ for c in classes} == set(errors.__all__)
    assert all(c.__name__ in errors.__doc__ for c in classes)
