# make demo: set up, then a first page in three minutes.  make repro: the whole pipeline.
# make test: set up, then the tests.  make check: those without downloads.
# make show: experiments (dvc exp run) in a table that fits a terminal.
# make compare A=… B=…: two runs side by side, each a page, a folder with one, or a revision.
# make study: the runs of studies/cpu and their verdicts (STUDY=name: of another).
# make test-long: all tests, with more draws, moments and generated cases.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Seconds without a byte, for pip here and in stages: downloads share the network with others.
export PIP_DEFAULT_TIMEOUT ?= 120

# Tests: a file in one process, for what its tests share; long files first (tests/conftest.py).
JOBS ?= 2
SPREAD := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --durations 30 --durations-min 3

.PHONY: repro demo study show compare test test-long check lint assets clean

repro: $(BIN)/ready
	@python -m random_routing repro

demo: $(BIN)/ready
	@python -m random_routing demo

study: $(BIN)/ready
	python -m benchmarks.study $(or $(STUDY),cpu)

show: $(BIN)/ready
	@python -m random_routing show

compare: $(BIN)/ready
	@python -m random_routing compare "$(A)" "$(B)"

test: lint assets
	pytest $(SPREAD) -m "not long"

test-long: lint assets
	LONG_TESTS=1 pytest $(SPREAD)

assets: $(BIN)/ready
	dvc repro --glob "fetch@*" "prepare@*"

check: lint
	pytest $(SPREAD) -m "not real and not long"

lint: $(BIN)/scale
	ruff check
	ruff format --check
	mypy
	deptry .

$(BIN)/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

$(BIN)/scale: $(BIN)/ready requirements-scale.txt  # what only executor: ray needs, for its tests
	$(BIN)/pip install --quiet --requirement requirements-scale.txt
	touch $@

clean:
	rm -rf .venv data .pytest_cache .mypy_cache .ruff_cache
