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
TIMES := 20
STACK ?= embedded
TESTS_containers := --stack containers libs/stack/tests/test_containers.py tests/integration
SOURCES := libs/*/src services/*/src apps/*/src
SBOM := dist/sbom
IMAGES := $(notdir $(wildcard services/*)) rapport-stack

.PHONY: help
help:  ## List every target with what it does
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: demo
demo: $(SYNCED)  ## Start everything, feed it the strategy's measures with synthetic answers, show verdicts, stop (STACK)
	@.venv/bin/rapport demo --stack $(STACK)

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
test: $(SYNCED)  ## Run every test on real MongoDB and Kafka; STACK=containers: the journeys, on servers in containers
	.venv/bin/python -m pytest $(TESTS_$(STACK))

.PHONY: security
security: $(SYNCED)  ## Try every row of the catalogue of bad input, tokens and rights, and write docs/security.md
	.venv/bin/python -m pytest -m catalogue --covered docs/security.json
	.venv/bin/python -m rapport_cli.documents

.PHONY: faults
faults: $(SYNCED)  ## Break the platform in every way of the catalogue, TIMES (20) each, and write docs/reliability.md
	.venv/bin/python -m tests.faults --times $(TIMES) --write

.PHONY: faults-quick
faults-quick: $(SYNCED)  ## The same once each, with a seed of its own; keeps nothing
	.venv/bin/python -m tests.faults --times 1

.PHONY: fuzz
fuzz: $(SYNCED)  ## Try the services with an hour of data made from their descriptions, and their decoders for another
	.venv/bin/python -m pytest tests/doors/test_described.py --examples 1000
	.venv/bin/python -m tests.fuzz --seconds 3600

.PHONY: fuzz-quick
fuzz-quick: $(SYNCED)  ## The decoders for a minute
	.venv/bin/python -m tests.fuzz --seconds 60

.PHONY: bench
bench: $(SYNCED)  ## Measure against what a user would pick and against the floor, and write docs/performance.md
	.venv/bin/python -m benchmarks --write

.PHONY: bench-quick
bench-quick: $(SYNCED)  ## The same at a tiny size: does it run, and are its outcomes right; writes no document
	.venv/bin/python -m benchmarks --quick

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

.PHONY: audit
audit: $(UV)  ## Look everything locked up in a database of vulnerabilities (OSV=address of a mirror)
	@$(UV) lock --check --quiet
	@status=0; $(UV) audit --frozen --preview-features audit-command $(if $(OSV),--service-url $(OSV)) || status=$$?; \
	if [ $$status -eq 2 ]; then echo "NOTHING WAS AUDITED: no database of vulnerabilities answered (why: above)."; \
	elif [ $$status -ne 0 ]; then echo "Upgrade it (make lock), or say in pyproject.toml, [tool.uv.audit], why it does not concern us."; exit 1; fi

.PHONY: sbom
sbom: $(UV)  ## Write what each image is made of (CycloneDX) into dist/sbom, as the image itself has it
	@mkdir -p $(SBOM)
	@for each in $(IMAGES); do $(UV) export --locked --no-dev --package $$each --format cyclonedx1.5 --quiet \
		--output-file $(SBOM)/$$each.cdx.json || exit 1; done

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
	@"$(PYTHON)" -m venv --clear .uv || { echo "Python has no venv module: apt-get install python3-venv"; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
