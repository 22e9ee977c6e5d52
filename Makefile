# make demo and make test set up everything that they need; nothing but Python 3.11+ and a package registry is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The dashboard's scripts have tools of their own, for make lint and make format; Node.js comes from the package registry too.
WEB := ktrdr/web
WEB_READY := $(WEB)/node_modules/.ready
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix $(WEB)

# A file's tests stay together, because they share servers.
TESTS := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations=10

# Engines that the backtest is compared with need other releases than ktrdr's packages: a Python of their own.
ENGINES := .engines

.PHONY: help setup engines demo test test-fast lint format bench chaos clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       train a model on real AAPL bars through the whole system, and watch it live"
	@echo "make test       run all tests"
	@echo "make test-fast  run those that need no process and no browser: two minutes"
	@echo "make engines    install NautilusTrader and backtrader, which make test then compares the backtest with"
	@echo "make setup      create $(VENV) with ktrdr in it ($(BIN)/ktrdr)"
	@echo "make lint       style, types and import contracts, of the dashboard's scripts too"
	@echo "make format     format the code"
	@echo "make bench      measure what is promised (installs the packages that it compares with)"
	@echo "make chaos      kill servers and workers 200 times, and send 15,000 wrong requests (an hour)"
	@echo "make clean      remove $(VENV), tools, caches and the demo's data"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ktrdr needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make setup PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing ktrdr into $(VENV) (PyTorch is large: the first time takes a few minutes)"
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

$(WEB_READY): $(VENV)/.ready $(WEB)/package-lock.json $(WEB)/package.json
	@echo "Installing the tools for the dashboard's scripts"
	@$(BIN)/python -m pip install --quiet --group web
	@$(NPM) ci --ignore-scripts --prefer-offline --silent
	@touch $@

engines: $(ENGINES)/.ready

$(ENGINES)/.ready: pyproject.toml
	@test -x $(ENGINES)/bin/python || $(PYTHON) -m venv $(ENGINES)
	@echo "Installing NautilusTrader and backtrader into $(ENGINES)"
	@$(ENGINES)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(ENGINES)/bin/python -m pip install --quiet --group engines
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup
	@$(TESTS)

test-fast: setup
	@$(TESTS) -m "not e2e and not processes and not slow"

lint: setup $(WEB_READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(NPM) run --silent lint

format: setup $(WEB_READY)
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .
	@$(NPM) run --silent format

bench: setup
	@$(BIN)/python -m pip install --quiet --group bench
	@$(BIN)/python -m benchmarks

chaos: setup
	@$(BIN)/python -m tests.chaos --kills 200 --seed 1
	@$(BIN)/python -m tests.api.mutations --examples 10000
	@$(BIN)/python -m tests.api.survey --examples 300

clean:
	rm -rf $(VENV) $(ENGINES) $(WEB)/node_modules .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
