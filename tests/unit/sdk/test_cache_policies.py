"""Cache policies: which facts make two task runs the same."""

from typing import Any

import pytest

from headway import task
from headway.core.errors import SerializationError
from headway.sdk.cache_policies import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    RUN_ID,
    TASK_SOURCE,
    CacheFacts,
    CachePolicy,
)


@task
def one(x: int) -> int:
    return x


@task
def two(x: int) -> int:
    return x + 1


def facts(owner: Any = one, run: str = "r", flow: dict[str, Any] | None = None, **parameters: Any) -> CacheFacts:
    return CacheFacts(owner, parameters, run, "t", flow or {"day": 1})


@pytest.mark.parametrize(
    ("policy", "same", "other"),
    [
        (INPUTS, facts(two, run="s", x=1), facts(x=2)),
        (TASK_SOURCE, facts(run="s", x=2), facts(two, x=1)),
        (RUN_ID, facts(two, x=2), facts(run="s", x=1)),
        (FLOW_PARAMETERS, facts(two, run="s", x=2), facts(flow={"day": 2}, x=1)),
        (INPUTS + TASK_SOURCE, facts(run="s", x=1), facts(two, x=1)),
        (INPUTS + TASK_SOURCE, facts(run="s", x=1), facts(x=2)),
        (DEFAULT, facts(x=1), facts(run="s", x=1)),
        (DEFAULT, facts(x=1), facts(two, x=1)),
        (DEFAULT, facts(x=1), facts(x=2)),
    ],
)
def test_a_policy_has_one_key_for_equal_facts_and_another_for_different_ones(
    policy: CachePolicy, same: CacheFacts, other: CacheFacts
) -> None:
    assert policy.key(facts(x=1)) == policy.key(same)
    assert policy.key(facts(x=1)) != policy.key(other)


def test_an_input_can_be_left_out() -> None:
    policy = INPUTS - "verbose"
    assert policy.key(facts(x=1, verbose=True)) == policy.key(facts(x=1, verbose=False))
    assert policy.key(facts(x=1, verbose=True)) != policy.key(facts(x=2, verbose=True))
    combined = (INPUTS + TASK_SOURCE) - "verbose"
    assert combined.key(facts(x=1, verbose=True)) == combined.key(facts(x=1, verbose=False))


def test_no_cache_has_no_key_and_adds_nothing() -> None:
    assert NO_CACHE.key(facts(x=1)) is None
    assert (INPUTS + NO_CACHE).key(facts(x=1)) == INPUTS.key(facts(x=1))
    assert (NO_CACHE + INPUTS).key(facts(x=1)) == INPUTS.key(facts(x=1))


def test_the_order_of_a_dict_makes_no_difference() -> None:
    assert INPUTS.key(facts(x={"a": 1, "b": 2})) == INPUTS.key(facts(x={"b": 2, "a": 1}))


def test_inputs_without_json_form_are_hashed_by_pickle() -> None:
    class Odd:
        pass

    assert INPUTS.key(facts(x=Odd)) is not None


def test_inputs_that_cannot_be_hashed_say_what_to_do() -> None:
    with pytest.raises(SerializationError, match="INPUTS - 'name'"):
        INPUTS.key(facts(x=(i for i in [1])))
