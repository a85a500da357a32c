PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: solve check setup lint types imports test regression pages bench clean

solve: $(READY)  ## make .venv, install, solve the quickstart scenario
	$(BIN)/ds3opt solve scenarios/quickstart.yaml

check: $(READY)  ## everything CI runs, what takes one processor two at a time
	$(MAKE) --jobs=2 lint types imports
	$(MAKE) test
	$(MAKE) --jobs=2 regression pages

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(READY)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

test: $(READY)  ## compiled once, not by each of the commands that the tests run
	$(BIN)/python -m compileall -q -j 0 ds3opt tests
	$(BIN)/pytest -n auto

regression: $(READY)
	$(BIN)/ds3opt check

pages: $(READY)  ## the page of the papers' figures is up to date; a minute or two
	$(BIN)/python docs/reproduction.py --check

bench: $(READY)  ## speed against public optimisers, a few minutes
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
