# Every target makes .venv itself when it is missing. PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
# One thread a process: fits and tests run in several processes instead.
export OMP_NUM_THREADS ?= 1

.PHONY: quickstart test test-all check format bench clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "actsearch needs Python 3.11 or newer; say make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

quickstart: .venv/.installed  ## search a published space by real trainings, and write the results
	$(BIN)/actsearch search --config scripts/quickstart.yaml

test: .venv/.installed  ## the cheap tests, under 3 minutes on two cores
	$(BIN)/pytest -q -n 2

test-all: .venv/.installed  ## the dear tests
	$(BIN)/pytest -q -n 2 -m 'slow and not gpu'

bench: .venv/.installed  ## how fast kernels and searches are, as ratios in one run: benchmarks/results/, 20 minutes
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/bench_kernels.py
	$(BIN)/python benchmarks/bench_adaptive.py
	$(BIN)/python benchmarks/bench_bridges.py
	$(BIN)/python benchmarks/bench_population.py
	$(BIN)/python benchmarks/bench_search.py

check: .venv/.installed  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
