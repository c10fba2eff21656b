# make repro: set up, then run the pipeline.  make test: set up, then all tests.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test check assets clean

repro: $(BIN)/ready
	@python -m pipeline.check  # first, because DVC reads params.yaml before it runs anything
	dvc repro

test: check assets
	pytest -m real

assets: $(BIN)/ready
	dvc repro --glob "fetch@*" "prepare@*"

check: $(BIN)/scale
	ruff check
	ruff format --check
	mypy
	pytest -m "not real"

$(BIN)/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

$(BIN)/scale: $(BIN)/ready requirements-scale.txt  # what only executor: ray needs, for its tests
	$(BIN)/pip install --quiet --requirement requirements-scale.txt
	touch $@

clean:
	rm -rf .venv data .pytest_cache .mypy_cache .ruff_cache
