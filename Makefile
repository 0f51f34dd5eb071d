# Every target sets itself up: a virtual environment with exactly what the lock names.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := eventlog projector schemas compose tests docs/quickstart.py

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-peers bench-long switches collections audit-power audit-clean rollbacks replays calibrate clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

demo: $(VENV)/all.installed ## Carry a live trading app into PostgreSQL and back, prove it (under 2 min)
	@$(BIN)/memferry demo $(ARGS)

test: $(VENV)/dev.installed ## Run the tests on real Kafka and PostgreSQL, three files at a time
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

check: $(VENV)/dev.installed ## Lint, types, and the rules of the house
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_house.py

bench: $(VENV)/dev.installed ## Measure; ONLY=name,... measures some
	@$(BIN)/python -m tests.benchmarks $(ONLY)

bench-peers: $(VENV)/dev.installed ## Measure beside Kafka Connect with Debezium's JDBC sink, and plain loops
	@$(BIN)/python -m tests.benchmarks.peers

bench-long: $(VENV)/dev.installed ## Rate and memory of each of COUNT events' millions (10000000)
	@$(BIN)/python -m tests.benchmarks.long $(or $(COUNT),10000000)

switches: $(VENV)/dev.installed ## Move reads there and back COUNT times under load, with kills that SEED decides
	@$(BIN)/python -m tests.journeys.switches $(or $(COUNT),20) $(or $(SEED),1)

collections: $(VENV)/dev.installed ## Change recorded collections beside plain ones, COUNT histories that SEED decides
	@$(BIN)/python -m tests.eventlog.recorded.long $(or $(COUNT),2000) $(or $(SEED),1)

audit-power: $(VENV)/dev.installed ## Tamper in six ways with four places, COUNT positions each that SEED decides
	@$(BIN)/python -m tests.journeys.audit_power $(or $(COUNT),100) $(or $(SEED),1)

audit-clean: $(VENV)/dev.installed ## Audit an app under load COUNT times; whatever is found is a false alarm
	@$(BIN)/python -m tests.journeys.audit_clean $(or $(COUNT),1000) $(or $(SEED),1)

rollbacks: $(VENV)/dev.installed ## Go back and forth under load COUNT times, a fifth killed -9, as SEED decides
	@$(BIN)/python -m tests.journeys.rollbacks $(or $(COUNT),1000) $(or $(SEED),1)

replays: $(VENV)/dev.installed ## Histories of voids, rollbacks and restarts against a model, COUNT that SEED decides
	@$(BIN)/python -m tests.projector.replay.histories $(or $(COUNT),50) $(or $(SEED),1)

calibrate: $(VENV)/dev.installed ## False alarms and faults found of the statistical level, COUNT rounds, SEED decides
	@$(BIN)/python -m tests.projector.audit.levels.calibration $(or $(COUNT),5) $(or $(SEED),1)

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "memferry needs Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/%.installed: locks/%.lock pyproject.toml | $(BIN)/python
	@echo "installing what locks/$*.lock names into $(VENV)" >&2
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r locks/$*.lock || \
		{ echo "the packages could not be installed: is a Python package registry reachable?" >&2; exit 2; }
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
