"""A flow for the reference's own SDK; run by test_stock_client.py in the reference's environment."""

from prefect import flow, task


@task(retries=1, retry_delay_seconds=0)
def double(number: int) -> int:
    return number * 2


@flow
def inner(number: int) -> int:
    return double(number)


@flow(log_prints=True, retries=1, retry_delay_seconds=0)
def outer(number: int = 1) -> int:
    print("hello from the stock engine")
    return inner(number) + sum(double.map([1, 2, 3]).result())
