# make demo: set up, then a first page in three minutes.  make repro: the whole pipeline.
# make test: set up, then the tests.  make check: those without downloads.
# make show: experiments (dvc exp run) in a table that fits a terminal.
# make compare A=… B=…: two runs side by side, each a page, a folder with one, or a revision.
# make study: the runs of studies/cpu and their verdicts (STUDY=name: of another).
# make test-long: all tests, with more draws, moments and generated cases.
# make test-vllm: the law in a real vLLM, and against its server, in an environment of their own (.venv-vllm, 4 GB).
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Seconds without a byte, for pip here and in stages: downloads share the network with others.
export PIP_DEFAULT_TIMEOUT ?= 120

# Tests: a file in one process, for what its tests share; long files first (tests/conftest.py).
JOBS ?= 2
SPREAD := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --durations 30 --durations-min 3

.PHONY: repro demo study show compare test test-long test-vllm check lint assets clean

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

# Once with each of vLLM's model runners.
test-vllm: .venv-vllm/ready
	.venv-vllm/bin/pip install --quiet --no-deps .
	VLLM_USE_V2_MODEL_RUNNER=0 .venv-vllm/bin/python -m pytest --confcutdir=tests/vllm tests/vllm
	VLLM_USE_V2_MODEL_RUNNER=1 .venv-vllm/bin/python -m pytest --confcutdir=tests/vllm tests/vllm

assets: $(BIN)/ready
	dvc repro --glob "fetch@*" prepare@textgen prepare@dialogue prepare@translation

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

# The law needs no more than vLLM has, and scipy. The three have no build for this torch, and stop vLLM's import.
.venv-vllm/ready: requirements-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet --requirement requirements-vllm.txt
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

clean:
	rm -rf .venv .venv-vllm data .pytest_cache .mypy_cache .ruff_cache
