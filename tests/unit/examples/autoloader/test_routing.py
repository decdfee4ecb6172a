"""Where loads run: by total compressed bytes, the threshold itself being small, unless a person is waiting."""

import pytest
from autoloader.routing import Place, Trigger, route
from autoloader.settings import Pool, Routing

TEN_GIB = 10 * 2**30


def test_up_to_and_including_ten_gib_a_scheduled_load_goes_to_the_default_queue_of_the_process_pool() -> None:
    for size in (0, 1, TEN_GIB):
        place = route(Trigger.SCHEDULE, size, Routing())
        assert (place.pool, place.queue) == ("autoloader-process-pool", "default")


def test_above_ten_gib_it_goes_to_the_large_pool_s_high_memory_queue_with_its_own_job_variables() -> None:
    variables = {"cpu": 4, "memory": "16Gi", "image": "autoloader:1"}
    routing = Routing(large=Pool(name="big", queue="high-memory", job_variables=variables))
    place = route(Trigger.SCHEDULE, TEN_GIB + 1, routing)
    assert place == Place("big", "high-memory", variables, "10.0 GiB > 10.0 GiB")
    assert route(Trigger.SCHEDULE, TEN_GIB, routing).job_variables == {}


@pytest.mark.parametrize("threshold", [1000, "1000 B", "1 KB"])
def test_the_threshold_is_a_setting(threshold: int | str) -> None:
    routing = Routing(threshold=threshold)
    assert route(Trigger.SCHEDULE, 1000, routing).queue == "default"
    assert route(Trigger.SCHEDULE, 1001, routing).queue == "high-memory"


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.PREVIEW, Trigger.RETRY])
@pytest.mark.parametrize("size", [0, TEN_GIB, 5 * TEN_GIB])
def test_manual_triggers_previews_and_retries_go_to_the_priority_queue_whatever_the_size(
    trigger: Trigger, size: int
) -> None:
    place = route(trigger, size, Routing())
    assert (place.pool, place.queue) == ("autoloader-process-pool", "priority")
