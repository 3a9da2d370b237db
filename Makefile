# Every target does its own set-up: Python 3.11 or later and make are all a machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS_VENV := .venv-protos
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
PROTOS_STAMP := $(PROTOS_VENV)/.installed
PIP := -m pip install --quiet --disable-pip-version-check
WRITTEN := $(wildcard timebank ledger matching merchant tests)
ARGS ?=

.PHONY: help run test bench protos lint format
.DEFAULT_GOAL := help

help: ## Says what there is.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

run: $(RUN_STAMP) ## Starts every service in one process on SQLite and loopback.
	$(BIN)/python -m timebank serve --config deploy/config/development.toml $(ARGS)

test: lint ## Checks the sources and passes every test; ARGS goes to pytest.
	$(BIN)/python -m pytest --numprocesses=logical --dist=loadfile $(ARGS)

bench: $(DEV_STAMP) ## Measures this machine; ARGS goes to `timebank bench`.
	$(BIN)/python -m timebank bench $(ARGS)

protos: $(PROTOS_STAMP) ## Generates the modules of the contract again.
	$(PROTOS_VENV)/bin/python protos/generate.py $(ARGS)

lint: $(DEV_STAMP) ## Checks style and types, changes nothing.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(WRITTEN) protos/generate.py

format: $(DEV_STAMP) ## Puts the sources into the one format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"error: expected Python 3.11 or later, got {sys.version.split()[0]}; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(PIP) --constraint constraints.txt --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(RUN_STAMP)

$(PROTOS_STAMP): Makefile
	$(PYTHON) -m venv $(PROTOS_VENV)
	$(PROTOS_VENV)/bin/python $(PIP) grpcio-tools==1.71.2 mypy-protobuf==3.6.0 'protobuf<6' \
	  'setuptools<81'
	@# Only its .proto files are read; its Python code, which wants a later protobuf, is not.
	$(PROTOS_VENV)/bin/python $(PIP) --no-deps googleapis-common-protos==1.76.0
	@touch $@
