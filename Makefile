# Needs Python 3.11 to 3.13, make and the package index; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types bench soak docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## make .venv with the command .venv/bin/catalog

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  f"catalog needs Python 3.11 to 3.13, and {sys.executable} is {v[0]}.{v[1]}; use make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## a record shop is built and asked (BACKBONE=imagenet for the larger network)
	$(BIN)/python -m cli.demo $(if $(BACKBONE),--backbone $(BACKBONE))

test: $(READY) ## every test that ends within minutes
	$(BIN)/python -m pytest -m "not soak"

lint: $(READY) ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## types
	$(BIN)/mypy

bench: $(READY) ## accuracy and speed, into benchmarks/*.md
	$(BIN)/python -m benchmarks.run

soak: $(READY) ## the long tests
	$(BIN)/python -m pytest -m soak --timeout 7200

docs: $(READY) ## the command reference, from --help
	$(BIN)/typer cli.main utils docs --name catalog --output docs/cli.md

clean: ## remove what setup and demo made
	rm -rf $(VENV) demo build dist *.egg-info
