# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test test-16 check format bench chaos pictures lock clean

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

$(VENV)/ready: requirements/dev.lock pyproject.toml scripts/setup
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/setup
	@touch $@

demo: $(VENV)/ready ## a real Asterisk, real calls, their attribution; ONCE=1 ends after the scripted calls
	@pbxtrack demo $(if $(ONCE),--once)

test: $(VENV)/ready ## the whole suite: real Asterisk, PostgreSQL and Chromium included
	@scripts/setup-tests
	@scripts/test $(ARGS)

test-16: $(VENV)/ready ## the tests with real calls once more, on Asterisk 16
	@scripts/setup-tests
	@scripts/test-16 $(ARGS)

check: $(VENV)/ready ## formatter, linter, types, import rules
	@scripts/check

format: $(VENV)/ready ## rewrite the code as the formatter wants it
	@ruff format . && ruff check --fix .

bench: $(VENV)/ready ## benchmarks, as ratios within one run; writes benchmarks/results/
	@python -m benchmarks $(ARGS)

chaos: $(VENV)/ready ## real calls while everything breaks, one thing or two at a time; half an hour
	@scripts/setup-tests
	@python -m tests.chaos $(ARGS)

pictures: $(VENV)/ready ## take the pictures of the desk in docs/pictures/ anew
	@scripts/setup-tests
	@python scripts/pictures

lock: $(VENV)/ready ## write the locked dependencies anew; ARGS=--upgrade for newer versions
	@scripts/lock $(ARGS)

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
