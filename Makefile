# make demo   a real reconcile on a real API server, from nothing
# make test   everything that can be checked: style, types, architecture, tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
WORKER := $(wildcard runner/clients/kustomize/worker/*.go runner/clients/kustomize/worker/go.*)
PYTEST ?=
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench fidelity format cluster clean

help:
	@sed -n 's/^# make /  make /p' Makefile

$(READY): pyproject.toml $(WORKER)
	@$(PYTHON) -c 'import sys; sys.exit("kustodian needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else 0'
	@echo "setting up $(VENV) and compiling the render worker: a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m runner.clients.kustomize.compile >/dev/null
	@touch $@

demo: $(READY)
	@$(BIN)/python -m examples.demo

test: lint cluster
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lint

format: $(READY)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

# make bench  paired figures, ours and a peer's in one run; BENCH="render --units 5000" for a larger fleet
bench: $(READY) cluster
	$(BIN)/python -m tests.bench $(BENCH)

# make fidelity  side by side with the real flux and kustomize-controller, which are built when they are not there
fidelity: $(READY) cluster
	@$(BIN)/python -m tests.fidelity.controller
	$(BIN)/python -m pytest -n auto --health-timeout --ask-flux $(PYTEST) tests/fidelity

cluster: $(READY)
	@$(BIN)/python -m tests.cluster build >/dev/null

# make clean  what these commands left in the checkout
clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find runner tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
