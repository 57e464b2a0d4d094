# Everything runs in .venv, which `make venv` builds from the hashed lock file alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: demo up help venv check test test-system test-e2e-postgres lint types imports docs docs-check faults planted sandbox devnet program lock format clean

help:  ## explain every target
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

venv: $(STAMP)  ## install the locked dependencies and the project into .venv

check: lint types imports docs-check  ## formatting, lint, types, import rules, generated docs

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: venv  ## format the code and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: venv
	$(BIN)/mypy

imports: venv
	$(BIN)/lint-imports --no-cache

docs: venv  ## regenerate the API reference and the table of settings
	$(BIN)/python tools/generate_docs.py

docs-check: venv
	$(BIN)/python tools/generate_docs.py --check

test: venv  ## run units, properties, contracts, integration, commands and crashes, on both of two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not system"

test-system: venv  ## run whole systems: the demo, up and down, plans, guides as typed, a cluster's parts
	$(BIN)/python -m pytest -n 2 --dist loadfile -m system

test-e2e-postgres: venv  ## run every command and every system once more, each home with a PostgreSQL database of its own
	$(BIN)/python -m pytest tests/e2e -n 2 --dist loadfile --books postgres -m "system or not system"

SEEDS ?= 10
TRADES ?= 50

faults: venv  ## kill, stop, fork and lie to SEEDS x TRADES trades, and every crash against every answer
	$(BIN)/python -m pytest tests/faults --full-matrix
	$(BIN)/python -m tests.faults.driver --seeds $(SEEDS) --trades $(TRADES)
	$(BIN)/python -m tests.faults.driver --system --seeds $(SEEDS) --trades $(TRADES)
	$(BIN)/python -m tests.faults.driver --orders --seeds $(SEEDS) --trades $(TRADES)

planted: venv  ## plant known bugs into copies of the code, take out each rule of trades and orders: all must be found (long)
	$(BIN)/python -m tests.faults.rules_taken_out
	$(BIN)/python -m tests.faults.planted
	$(BIN)/python -m tests.faults.planted_system
	$(BIN)/python -m tests.faults.planted_orders

demo: venv  ## about two minutes of unattended trading, hurt on purpose, with the proof at the end
	$(BIN)/sniperforge demo

up: venv  ## run everything (Redis, sandbox, workers, beat, Flower) until Ctrl-C
	$(BIN)/sniperforge up

sandbox: venv  ## serve a local Solana and Jupiter with a funded demo wallet
	$(BIN)/sniperforge sandbox

DEVNET_HOME ?= $(HOME)/.sniperforge-devnet

devnet: venv  ## send one transaction of our own on devnet (needs the network and a funded wallet; never in CI)
	SNIPERFORGE_NETWORK=devnet $(BIN)/sniperforge --home $(DEVNET_HOME) devnet-check

program: venv  ## rebuild the sandbox's pool program (installs ziglang, 100 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[program]'
	$(BIN)/python -m sniperforge.sandbox.program.build

RESOLVE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: venv  ## resolve the lock files anew: for here, for images, and for building (needs `uv` on PATH)
	$(RESOLVE) --extra dev pyproject.toml tools/build-requirements.in -o requirements.lock
	$(RESOLVE) --no-annotate -c requirements.lock --extra postgres pyproject.toml -o requirements-production.lock
	$(RESOLVE) --no-annotate -c requirements.lock tools/build-requirements.in -o tools/build-requirements.lock

clean:  ## remove caches (never SNIPERFORGE_HOME)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
