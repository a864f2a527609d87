# make demo    install into .venv, run the whole line on a simulated world, end with demo/report.html
# make test    install into .venv, run the test suite (no network, no GPU, no other data)

VENV ?= .venv
PYTHON ?= python3
DATA ?= ../shared/data
DEMO ?= demo
PY = $(VENV)/bin/python
HELIXLM = $(VENV)/bin/helixlm

.PHONY: demo test test-real lint format bench docs clean

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "helixlm needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt pytest hypothesis psutil datasets tensorboard ray
	touch $@

$(VENV)/.lint: $(VENV)/.demo
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt ruff mypy types-PyYAML
	touch $@

demo: $(VENV)/.demo
	$(HELIXLM) demo -o $(DEMO)
	@echo "Before that: source $(VENV)/bin/activate, or write $(HELIXLM) in place of helixlm"

test: $(VENV)/.test
	$(PY) -m pytest

# Checks on real genomes and benchmarks; says so and fails where the data are not there.
test-real: $(VENV)/.test
	@test -d "$(DATA)" || { echo "make test-real: no folder $(DATA); give one with DATA=FOLDER"; exit 1; }
	HELIXLM_DATA="$(abspath $(DATA))" $(PY) -m pytest tests/real

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.lint
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# Every benchmark in a short form; what each can do more, its --help says.
bench: $(VENV)/.test
	$(PY) benchmarks/train_step.py
	$(PY) benchmarks/bpe_encode.py
	$(PY) benchmarks/bpe_train.py
	$(PY) benchmarks/haplotypes.py --samples 10 --repeats 1
	$(PY) benchmarks/prepare.py --mbp 20 --sizes 10 40 --task-mbp 5 --workers 1 2 --repeats 1 --json $(VENV)/bench-prepare.json
	$(PY) benchmarks/scaling.py $(VENV)/bench-prepare.json

$(VENV)/.docs: $(VENV)/.demo
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt pdoc==16.0.0
	touch $@

# The API reference, made from the docstrings: open docs/api/index.html.
docs: $(VENV)/.docs
	$(PY) docs/make_api.py

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
