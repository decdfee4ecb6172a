"""States as flow authors use them."""

import pickle

import pytest

from headway import Cancelled, Completed, Crashed, Failed, State
from headway.core.errors import CancelledRun, CrashedRun, FailedRun, MissingResult, PausedRun
from headway.core.states import StateType
from headway.sdk.states import Paused, RunTimeout, combine, from_exception


def test_a_completed_state_gives_its_value() -> None:
    assert Completed(data=5).result() == 5
    assert Completed(data=None).result() is None


def test_a_state_without_value_says_how_to_keep_one() -> None:
    with pytest.raises(MissingResult, match="persist_result=True"):
        Completed().result()


@pytest.mark.parametrize(("make", "error"), [(Failed, FailedRun), (Crashed, CrashedRun), (Cancelled, CancelledRun)])
def test_a_bad_end_raises_its_message(make: type[State], error: type[Exception]) -> None:
    state = make("no luck")
    with pytest.raises(error, match="no luck"):
        state.result()
    assert isinstance(state.result(raise_on_failure=False), error)


def test_a_failed_state_raises_the_exception_it_carries() -> None:
    with pytest.raises(ZeroDivisionError):
        from_exception(ZeroDivisionError("1/0"), "Flow run").result()


def test_a_paused_run_has_no_result_yet() -> None:
    with pytest.raises(PausedRun):
        Paused().result()


def test_states_can_be_raised() -> None:
    with pytest.raises(State) as caught:
        raise Failed("on purpose")
    assert from_exception(caught.value, "Flow run") is caught.value


@pytest.mark.parametrize(
    ("error", "type", "name"),
    [
        (ValueError("x"), StateType.FAILED, "Failed"),
        (RunTimeout("slow"), StateType.FAILED, "TimedOut"),
        (CancelledRun("stop"), StateType.CANCELLED, "Cancelled"),
        (KeyboardInterrupt(), StateType.CRASHED, "Crashed"),
    ],
)
def test_an_exception_becomes_the_state_that_names_it(error: BaseException, type: StateType, name: str) -> None:
    state = from_exception(error, "Run")
    assert (state.type, state.name) == (type, name)


def test_many_states_are_completed_only_together() -> None:
    assert combine([Completed(data=1), Completed(data=2)]).is_completed()
    mixed = combine([Completed(data=1), Failed("a"), Failed("b")])
    assert mixed.is_failed()
    assert mixed.message == "2/3 states failed."


def test_a_state_survives_pickling() -> None:
    state = Completed("done", data={"a": 1})
    again = pickle.loads(pickle.dumps(state))
    assert again == state
    assert again.result() == {"a": 1}
    with pytest.raises(MissingResult):
        pickle.loads(pickle.dumps(Completed())).result()
