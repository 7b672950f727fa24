# Everything a newcomer needs: `make` lists it. Works without root, Docker or Java; needs Python 3.11 to 3.13 and a network once.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
export UV_PYTHON_DOWNLOADS := never

UV_VERSION := 0.13.9
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && command -v "$$p" && break; done)
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
SYNCED := .venv/.synced
SOURCES := libs/*/src services/*/src apps/*/src

.PHONY: help
help:  ## List every target with what it does
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: demo
demo: $(SYNCED)  ## Start everything, feed it the strategy's measures with synthetic answers, show verdicts, stop
	@.venv/bin/rapport demo

.PHONY: up
up: $(SYNCED)  ## Start the platform and leave it running
	@.venv/bin/rapport up

.PHONY: status
status: $(SYNCED)  ## Show what runs, and why something does not
	@.venv/bin/rapport status

.PHONY: down
down: $(SYNCED)  ## Stop the platform; its data stays
	@.venv/bin/rapport down

.PHONY: test
test: $(SYNCED)  ## Run every test on real MongoDB and Kafka
	.venv/bin/python -m pytest

.PHONY: check
check: lint types imports current  ## Check style, types, import contracts and generated documents

.PHONY: lint
lint: $(SYNCED)  ## Check style and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

.PHONY: types
types: $(SYNCED)  ## Check types, strictly
	.venv/bin/mypy $(SOURCES)

.PHONY: imports
imports: $(SYNCED)  ## Check who may import whom (.importlinter)
	.venv/bin/lint-imports

.PHONY: current
current: $(SYNCED)  ## Check that schemas and documents are those of the code
	.venv/bin/python -m rapport_events.golden --check
	.venv/bin/python -m rapport_cli.documents --check

.PHONY: docs
docs: $(SYNCED)  ## Write schemas and documents anew from the code
	.venv/bin/python -m rapport_events.golden
	.venv/bin/python -m rapport_cli.documents

.PHONY: format
format: $(SYNCED)  ## Bring the code into its format and mend what can be mended
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: lock
lock: $(UV)  ## Resolve dependencies anew and pin them in uv.lock
	$(UV) lock --upgrade

.PHONY: wipe
wipe: $(SYNCED)  ## Stop the platform and delete its data
	@.venv/bin/rapport down --wipe

$(SYNCED): uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml apps/*/pyproject.toml) | $(UV)
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed and none is on PATH: apt-get install python3 python3-venv"; exit 1; fi
	$(UV) sync --locked --all-packages --quiet --python "$(PYTHON)"
	@touch $@

.uv/bin/uv:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed and none is on PATH: apt-get install python3 python3-venv"; exit 1; fi
	@echo "uv is not installed: bringing uv $(UV_VERSION) into .uv"
	@"$(PYTHON)" -m venv .uv || { echo "Python has no venv module: apt-get install python3-venv"; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
