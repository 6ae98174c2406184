# Each command makes its own .venv on a machine that has only Python >= 3.11 and make; the second time is quick,
# because a stamp file says which dependency group of pyproject.toml is installed.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -q
FAST := not timing and not slow and not interop
OTHER_PYTHONS := 3.12 3.13
FUZZ_SECONDS ?= 120
MINUTES ?= 2

.PHONY: help demo test test-all test-third-party test-other-pythons check types format bench fuzz soak clean
.NOTPARALLEL:

help:
	@echo "make demo      install, then run the main job in front of you"
	@echo "make test      the fast suite, two processes, then the timing tests alone"
	@echo "make test-all  make test, real servers, long tables, packages written for requests, and the fast suite"
	@echo "               on Python $(OTHER_PYTHONS)"
	@echo "make types     pyright --verifytypes: every public symbol has a type"
	@echo "make check     ruff format --check, ruff check, mypy --strict"
	@echo "make format    let ruff format and fix"
	@echo "make bench     CPU time beside requests, urllib3, httpx, http.client, pycurl (QUICK=1: under 4 minutes)"
	@echo "make fuzz      coverage-guided fuzzing, FUZZ_SECONDS=$(FUZZ_SECONDS) a target"
	@echo "make soak      everything at once against loopback, MINUTES=$(MINUTES); SEED= and ROUND= replay; figures in build/"
	@echo "make clean     remove what these commands made"

demo: $(VENV)/installed-demo
	$(BIN)/python -m client demo

test: $(VENV)/installed-dev
	$(PYTEST) -n 2 -m "$(FAST)"
	$(PYTEST) -m "timing and not slow and not interop"

test-all: test
	$(PYTEST) -n 2 -m "(slow or interop) and not timing" --ignore tests/third_party
	$(MAKE) types
	$(MAKE) test-third-party
	$(MAKE) test-other-pythons

# In a virtual environment of its own: they bring pytest plugins along, which import requests in every test process.
test-third-party:
	$(MAKE) VENV=.venv-third-party .venv-third-party/installed-third-party
	.venv-third-party/bin/python -m pytest -q -n 2 -m slow tests/third_party

# The fast suite in a virtual environment of its own, .venv-3.12 and so on; a Python that is not here is named.
test-other-pythons:
	@for version in $(OTHER_PYTHONS); do \
		python=$$(for candidate in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python; do \
			$$candidate -c '' 2>/dev/null && echo $$candidate && break; done); \
		if [ -z "$$python" ]; then echo "Python $$version: not on this machine, skipped"; continue; fi; \
		echo "Python $$version"; \
		$(MAKE) VENV=.venv-$$version PYTHON=$$python .venv-$$version/installed-dev || exit 1; \
		.venv-$$version/bin/python -m pytest -q -n 2 -m "$(FAST)" || exit 1; \
	done

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Every public symbol has a type that pyright knows; it looks for the package along PATH, and Node.js comes from PyPI.
types:
	$(MAKE) VENV=.venv-types .venv-types/installed-types
	@PATH="$(CURDIR)/.venv-types/bin:$$PATH" pyright --verifytypes client --ignoreexternal > .venv-types/report \
		&& grep "score: 100%" .venv-types/report || { cat .venv-types/report; exit 1; }

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-bench
	$(BIN)/python -m tests.benchmarks $(if $(QUICK),--quick)

fuzz: $(VENV)/installed-fuzz
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

# A long one is drawn for the documents: make soak MINUTES=15 PLOT=docs/soak.svg
PLOT ?= build/soak.svg
soak: $(VENV)/installed-soak
	@mkdir -p build
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) \
		--figures build/soak.json --plot $(PLOT)

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist

# Dependency groups need pip >= 25.1, which is newer than what venv brings with Python 3.11.
$(VENV)/created:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; say where: make PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade "pip>=25.1"
	@touch $@

$(VENV)/installed-demo: $(VENV)/created pyproject.toml
	$(INSTALL) --editable ".[rich]"
	@touch $@

INSTALLED := $(addprefix $(VENV)/installed-,dev bench fuzz soak third-party types)
$(INSTALLED): $(VENV)/installed-%: $(VENV)/created pyproject.toml
	$(INSTALL) --editable . --group dev $(if $(filter-out dev,$*),--group $*)
	@touch $@
