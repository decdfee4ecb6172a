# The same few commands for people and CI. Everything is installed into .venv; nothing else on the machine changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 4

.PHONY: help demo test test-live check contract bench chaos docs lock clean
help:
	@echo "make demo      run the autoloader example on real data: server, workers, a crash and its recovery"
	@echo "make test      lint, types, layers and every test"
	@echo "make test-live what needs root or the reference: full disk, cut network, stock workers, the live contract"
	@echo "make bench     measure every row of the performance table; PEER=prefect measures the reference beside it"
	@echo "make chaos     kill everything under load on both databases, and prove that nothing was lost"
	@echo "make contract  call every route on a live reference server too, and compare"
	@echo "make check     lint, types and layers only"
	@echo "make docs      write the reference pages again"
	@echo "make lock      resolve the lock files again"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Headway needs Python 3.11 or newer; $(PYTHON) is older. Run: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade "pip>=25.1"

$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/demo.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.demo
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/test.txt
	@touch $@

demo: $(VENV)/.demo
	@cd examples/autoloader && ../../$(BIN)/python -m autoloader.demo --folder ../../.demo $(DEMO_ARGS)

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(if $(CI),--live) tests

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

contract: $(VENV)/.test
	$(BIN)/python -m pytest -q tests/contract --live

test-live: $(VENV)/.test
	$(BIN)/python -m pytest -q --live tests/contract tests/e2e/test_chaos.py tests/e2e/test_shared_pool.py

bench: $(VENV)/.test
	$(BIN)/python -m bench $(ROWS) $(if $(PEER),--peer $(PEER)) $(BENCH_ARGS)

chaos: $(VENV)/.test
	$(BIN)/python -m chaos $(CHAOS_ARGS)

docs: $(VENV)/.test
	$(BIN)/python docs/generate.py

lock: $(VENV)/.test
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --no-header --no-emit-index-url --no-emit-find-links --universal pyproject.toml --group demo -o requirements/demo.txt
	$(BIN)/uv pip compile -q --no-header --no-emit-index-url --no-emit-find-links --universal pyproject.toml --group demo --group dev -o requirements/test.txt

clean:
	rm -rf $(VENV) .demo .cache build dist
