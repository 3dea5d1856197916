# Every target does its own set-up, is safe to repeat and is quick the second time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
WORKERS ?= 2
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help up down status demo test drills sure lint format bench load screenshots chromium node clean

help: ## Print every target
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up .venv (about two minutes the first time) ..."
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/pip install -qq --upgrade pip
	@$(BIN)/pip install -qq -c constraints.txt -e ".[dev]"
	@touch $@

chromium:
	@command -v chromium >/dev/null || { echo "Installing chromium for the browser tests ..."; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq chromium >/dev/null; }

node:
	@command -v npm >/dev/null || { echo "Installing Node.js for the identity provider of the tests ..."; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq nodejs npm >/dev/null; }

up: $(STAMP) ## Start the whole platform on this machine
	@$(BIN)/receipts up

down: $(STAMP) ## Stop what `up` started
	@$(BIN)/receipts down

status: $(STAMP) ## Print counts, versions, lags and health
	@$(BIN)/receipts status

demo: $(STAMP) ## Start everything, stream 20,000 real baskets in, find one again
	@$(BIN)/receipts demo

lint: $(STAMP) ## Check format, lint, types and import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/basedpyright

test: lint chromium node ## Check everything: lint, types, import rules and all tests
	@$(BIN)/python -m pytest -n $(WORKERS) $(TESTS)

drills: $(STAMP) ## Run the failure drills with outages of a minute
	@$(BIN)/python -m pytest tests/drills --drill-seconds 60 --timeout 1200 -o faulthandler_timeout=1500

sure: ## Do in a fresh clone of HEAD what CI does
	@clone=$$(mktemp -d)/receipts; git clone --quiet . "$$clone"; cd "$$clone"; $(MAKE) test; rm -rf "$$clone"

format: $(STAMP) ## Rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure what the README claims (an hour; `receipts bench all --quick` takes some minutes)
	@$(BIN)/receipts bench all

load: $(STAMP) ## Let twenty reps take calls on the running platform for half a minute
	@$(BIN)/receipts load

screenshots: $(STAMP) chromium ## Remake the pictures under docs/portal
	@$(BIN)/python -m pytest tests/gradio_ui --screenshots

clean: ## Remove the virtual environment and caches (not the data under var/)
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
