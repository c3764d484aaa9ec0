# Needs Python 3.11 to 3.13, make and the package index; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TYPES := build/types
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup environment demo test lint types wheel bench soak docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## make .venv with the command .venv/bin/catalog, or renew one that another version made
	@cmp -s pyproject.toml $(READY) || $(MAKE) --no-print-directory environment

environment:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  f"catalog needs Python 3.11 to 3.13, and {sys.executable} is {v[0]}.{v[1]}; use make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@cp pyproject.toml $(READY)

demo: setup ## a record shop is built and asked (SERVE=1 opens its page, BACKBONE=imagenet: the larger network)
	$(BIN)/python -m catalog.cli.demo $(if $(BACKBONE),--backbone $(BACKBONE))
	$(if $(SERVE),$(BIN)/catalog serve --open --catalog demo/shop.catalog --allow demo)

test: setup ## every test that ends within minutes (JOBS=2 at a time)
	$(BIN)/python -m pytest -m "not soak" --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

lint: setup ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy looks for packages in folders, so it gets a tree in which they lie as they are installed.
types: setup ## types
	@rm -rf $(TYPES) && mkdir -p $(TYPES)/catalog
	@ln -s $(addprefix $(CURDIR)/,$(wildcard catalog/[!_]* catalog/__*.py)) $(TYPES)/catalog
	@ln -s $(addprefix $(CURDIR)/,cli data descriptors embedder head index machine service) $(TYPES)/catalog
	@ln -s $(addprefix $(CURDIR)/,benchmarks recipes) $(TYPES)
	cd $(TYPES) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml

wheel: setup ## the wheel and the source archive, into dist
	$(BIN)/python -m build --outdir dist .

bench: setup ## accuracy and speed, into benchmarks/*.md
	$(BIN)/python -m benchmarks.run

soak: setup ## the long tests
	$(BIN)/python -m pytest -m soak --timeout 7200

docs: setup ## the command reference, from --help
	$(BIN)/typer catalog.cli.main utils docs --name catalog --output docs/cli.md

clean: ## remove what setup and demo made
	rm -rf $(VENV) demo build dist *.egg-info
