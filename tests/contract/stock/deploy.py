"""Deploys the flow with the reference's own SDK."""

from pathlib import Path

from flows import outer

if __name__ == "__main__":
    source = outer.from_source(source=str(Path(__file__).parent), entrypoint="flows.py:outer")
    source.deploy(name="stock", work_pool_name="stock-pool", cron="0 3 * * *", parameters={"number": 5})
