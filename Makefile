# `make sweep` and `make test` work from a fresh clone on a machine that has Python 3.11 or later and make.
.DEFAULT_GOAL = help
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
HOME_DIR ?= runs
# `make bench WORK=minute ROUNDS=3` takes trials of about a minute.
WORK ?= short
ROUNDS ?= 5
BENCH_VENV ?= .venv-bench
# torch is named first: packages that depend on it would else choose a build of their own.
TORCH = $(shell grep '^torch==' requirements.lock)
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST = $(BIN)/python -m pytest --dist worksteal
# Workers that share their imports: eight seconds of CPU less for each than with `-n 4`. There are more of them than
# cores, since tests wait for Ray, servers and other processes; those of `unit` do not, and each worker collects anew.
WORKERS = popen//python=$(BIN)/python tests/lab/workers.py
UNIT = tests/lstm tests/cluster/space tests/cluster/test_config.py tests/cluster/test_goodput.py \
       tests/cluster/test_decisions.py tests/dashboards/report tests/experiments/spec tests/experiments/test_specs.py \
       tests/test_docs.py tests/test_layout.py tests/test_vendors.py

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

.PHONY: help sweep check test unit coverage faults pages clusters gpu gpu-full bench lint types imports docs pictures tests schema clean
# Gates side by side: pytest waits for other processes now and then, and the others are one process each.
BESIDE = $(MAKE) --no-print-directory --jobs=3

sweep: $(VENV)/installed  ## run experiments/co2.yaml, and show its trials
	$(BIN)/sweep --home $(HOME_DIR) run experiments/co2.yaml
	$(BIN)/sweep --home $(HOME_DIR) compare experiments/co2.yaml

check: lint  ## the quick gates: under 90 seconds
	$(BESIDE) unit types imports

test: lint  ## every gate, as in CI
	$(BESIDE) tests types docs imports

# The tests that need no Ray, no server and no other process, without the 700 ways to write a table: a quarter of the time.
unit: $(VENV)/installed-dev
	$(PYTEST) --tx '2*$(WORKERS)' -m 'not faults and not pages and not clusters and not browser' --ignore=tests/lstm/data/test_tables.py $(UNIT)

lint: $(VENV)/installed-dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev  ## mypy
	$(BIN)/mypy

imports: $(VENV)/installed-dev  ## import-linter
	$(BIN)/lint-imports

docs: build/docs/checked  ## build/docs/index.html, where a page has changed since

# Strict: a warning (a link that leads nowhere, a page that no other names) is an error. All pages are built anew, since
# Sphinx warns of a page only when it reads it. The folders are named, too: a page may have been removed.
build/docs/checked: $(VENV)/installed-dev Makefile $(shell find docs/. -not -name '*.pyc' -not -name __pycache__)
	$(BIN)/python -m sphinx -b html -E -a -W -n --keep-going -q -d build/doctrees docs build/docs
	@touch $@

# docs/pictures from a sweep of experiments/co2.yaml; needs Chromium.
pictures: $(VENV)/installed-dev  ## the pictures of the documentation, from a real sweep
	$(BIN)/python tests/bench/pictures.py

tests: $(VENV)/installed-dev  ## pytest
	$(PYTEST) --tx '4*$(WORKERS)'

# Measuring the lines takes a quarter longer, and has to begin before the imports.
coverage: $(VENV)/installed-dev  ## the same with the lines that no test reaches
	$(PYTEST) -n 4 --cov --cov-report=term:skip-covered

# A test that needs what this machine lacks is skipped with the reason.
faults: $(VENV)/installed-dev  ## the full matrix of faults: more than an hour
	$(BIN)/python -m pytest -m faults --durations=0

# MLflow's pages with up to 1,000 runs, light and dark, and Optuna's, in Chromium; the pictures are in build/pages.
pages: $(VENV)/installed-dev  ## the pages in a real browser: minutes
	$(BIN)/python -m pytest -m pages --durations=0

# What a test needs and this machine lacks is said where it skips.
clusters: $(VENV)/installed-dev  ## real clusters, or what stands in for them: minutes to hours
	$(BIN)/python -m pytest -m clusters --durations=0

# What a GPU does: a page to send. Without one it runs as well, and says what it skipped.
gpu: $(VENV)/installed  ## what a GPU shows: under ten minutes, build/gpu/gpu.md
	$(BIN)/python tests/bench/gpu/run.py --out build/gpu

gpu-full: $(VENV)/installed
	$(BIN)/python tests/bench/gpu/run.py --out build/gpu --full

# Us beside the stock recipe, NeuralForecast and bare PyTorch on the same work; needs the machine for itself.
bench: $(VENV)/installed $(BENCH_VENV)/tried  ## us beside others on the same work
	$(BIN)/python tests/bench/contenders/run.py --work $(WORK) --rounds $(ROUNDS) --autolstm $(BENCH_VENV)/bin/python

# NeuralForecast's own environment. Where it can't be installed the benchmark leaves it out and says why; the next
# `make bench` tries again.
.PHONY: $(if $(wildcard $(BENCH_VENV)/failed),$(BENCH_VENV)/tried)
$(BENCH_VENV)/tried: requirements-bench.lock
	$(PYTHON) -m venv $(BENCH_VENV)
	{ $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH) && \
	  $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<; } \
	  2> $(BENCH_VENV)/failed && rm $(BENCH_VENV)/failed || true
	@touch $@

schema: $(VENV)/installed  ## renew what is generated: the JSON Schema and docs/reference
	$(BIN)/python -m experiments.spec.schema
	$(BIN)/python -m experiments.reference

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) --requirement requirements.lock
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(PIP) --requirement requirements-dev.lock
	@touch $@

clean:  ## remove all that make has made
	rm -rf $(VENV) $(BENCH_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage
