# Two commands for a fresh machine with Python 3.11+, gcc and make: `make tune` and `make test`.
PYTHON ?= python3
VENV := .venv
EXTRAS ?= compare
BIN := $(VENV)/bin

.PHONY: tune test test-slow lint docs wheel lock clean

tune: $(VENV)/.installed
	$(BIN)/raydgp tune --config quickstart
	$(BIN)/raydgp deploy quickstart --compare torch,onnxruntime,untuned --runs 200

# Three workers on two cores, since what starts Ray waits much of its time; libraries' threads would only be in the way.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" --numprocesses 3 --dist loadfile --no-loadscope-reorder

# What takes half a minute or more a test, and whose parts `make test` tests, too.
test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, with warnings as errors (--quiet would hide them from --strict). The variables silence news about MkDocs.
docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --no-isolation

# torch goes first, by its locked version: a resolver that starts elsewhere may fetch gigabytes of another build.
$(VENV)/.installed: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raydgp needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock torch
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[dev]'
	touch $@

# Renews the lock file from what the environment holds now; local version labels (torch's +cpu) stay out of it.
lock: $(VENV)/.installed-dev
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > requirements.lock

clean:
	rm -rf $(VENV) build dist site *.egg-info
