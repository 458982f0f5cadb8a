# Every target sets up what it needs; nothing but Python 3.11–3.13 and make has to be there.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ARGS ?=
# Many processes are started: without byte code on the disk, each would compile all of its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test integration check lint format bench up setup lock clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F '\t' '{printf "make %-12s %s\n", $$1, $$2}'

$(BIN)/uv: requirements-setup.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.lock
	@touch $@

.venv/runtime.stamp: $(BIN)/uv requirements.lock pyproject.toml
	@echo "Installing the locked dependencies" >&2
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/runtime.stamp requirements-dev.lock
	@echo "Installing the locked development tools" >&2
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

setup: .venv/dev.stamp  ## Virtual environment with the locked dependencies and development tools

run: .venv/runtime.stamp  ## See it work on a recorded evening (ARGS=--json for one document)
	@$(BIN)/controlplane demo $(ARGS)

up: .venv/runtime.stamp  ## Dagster and the on-call terminal on your controlplane.yaml
	@$(BIN)/controlplane up $(ARGS)

test: .venv/dev.stamp  ## All tests that need no server of their own
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/integration $(ARGS)

integration: .venv/dev.stamp  ## Tests against real Prometheus, exporters, Kafka, PostgreSQL, Redis, Dagster
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/integration $(ARGS)

lint: .venv/dev.stamp  ## Formatting, lints, types, import rules, Dagster definitions
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@DAGSTER_DISABLE_TELEMETRY=1 $(BIN)/dagster definitions validate -w workspace.yaml

check: lint test integration  ## Everything that has to be green

format: .venv/dev.stamp  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

# Pandas is what another client is measured with; nothing else sees it.
.venv/peers.stamp: .venv/dev.stamp requirements-bench.lock
	@$(BIN)/uv pip install --quiet --target .venv/peers --require-hashes --no-deps -r requirements-bench.lock
	@touch $@

bench: .venv/peers.stamp  ## Measure; docs/benchmarks.md holds earlier numbers
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(BIN)/uv  ## Resolve the dependencies anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:  ## Remove the virtual environment and caches (not .controlplane)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
