# `make help` lists the targets. Everything is installed into .venv from the locks in deploy/, with hashes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUNTIME := .venv/.runtime
DEV := .venv/.dev

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: setup
setup: $(RUNTIME)  ## make .venv with the runtime lock: .venv/bin/coterie, .venv/bin/python

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "coterie needs Python 3.11 or newer: found $$($(PYTHON) --version 2>&1); set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

$(RUNTIME): deploy/requirements.txt deploy/requirements-build.txt pyproject.toml | $(BIN)/python
	@echo "installing the runtime lock into .venv" >&2
	@$(PIP) install --require-hashes -r deploy/requirements.txt
	@$(PIP) install --require-hashes -r deploy/requirements-build.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: setup-dev
setup-dev: $(DEV) chromium  ## the above and all that the tests need, Debian's Chromium included

$(DEV): $(RUNTIME) deploy/requirements-dev.txt
	@echo "installing the development lock into .venv" >&2
	@$(PIP) install --require-hashes -r deploy/requirements-dev.txt
	@touch $@

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Debian's chromium" >&2; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >/dev/null; \
	  else echo "the browser tests need Chromium: sudo apt-get install chromium" >&2; exit 1; fi; }

.PHONY: demo
demo: $(RUNTIME)  ## plan the DeepSeek-R1 LeaderWorkerSet on a shipped cluster snapshot; writes report.html
	@$(BIN)/coterie plan -f fixtures/manifests/deepseek-r1.yaml --cluster fixtures/clusters/demo.yaml -n ai-inference --html report.html

.PHONY: test
test: setup-dev check build-controlplane  ## every check and every test, on a real control plane
	@$(BIN)/python -m pytest

.PHONY: check
check: $(DEV)  ## lint, types, import contracts, generated files, examples of the docs; no cluster
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q tests/docs

.PHONY: faults
faults: build-controlplane  ## 10,000 faults and 600 kills against a running scheduler, every step checked; long
	@$(BIN)/python -m tests.faults

.PHONY: bench
bench: $(RUNTIME)  ## measure what the docs claim
	@$(BIN)/coterie bench

.PHONY: bench-live
bench-live: build-controlplane  ## the same on a real control plane, which it starts and stops
	@$(BIN)/python -m tests.bench.live

.PHONY: build-controlplane
build-controlplane: $(DEV)
	@$(BIN)/python -m tests.controlplane build

.PHONY: controlplane
controlplane: $(DEV)  ## start a real control plane with 32 fake GPU nodes to play with; prints its KUBECONFIG
	@$(BIN)/python -m tests.controlplane up

.PHONY: generate
generate: $(DEV)  ## write what is generated: CRDs, RBAC, schema and tables of the docs
	@$(BIN)/python -m scheduler.kube.crd.crdgen deploy/base
	@$(BIN)/python -m scheduler.docs docs

.PHONY: lock
lock: $(DEV)  ## resolve the dependencies anew
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -q -o deploy/requirements.txt
	@$(BIN)/uv pip compile pyproject.toml --group build --group dev -c deploy/requirements.txt --universal --python-version 3.11 --generate-hashes --no-header -q -o deploy/requirements-dev.txt
	@$(BIN)/uv pip compile --group build -c deploy/requirements-dev.txt --universal --python-version 3.11 --generate-hashes --no-header -q -o deploy/requirements-build.txt

.PHONY: clean
clean:  ## remove .venv and what the tools left
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist report.html
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
