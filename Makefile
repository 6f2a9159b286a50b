# `make demo` and `make test` need nothing but this clone: they make .venv and install into it first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORKERS ?= 2
# each worker begins with a share of the files, and takes from the others at the end
PARALLEL := -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo format type mypy pyright check lint test test-slow test-exhaustive test-peers build bench docs gallery pretrained clean

help:  ## show these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(INSTALLED)  ## make .venv and install everything into it, at the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version): make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (downloads some hundred MB the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## collect, train, evaluate, report: everything once in small, into runs/demo
	$(BIN)/embodied demo

format: setup  ## format the code and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

type: mypy pyright  ## both type checkers

mypy pyright: setup
	$(BIN)/$@

check: lint mypy pyright  ## lint, formatting, types, layers, dead code; in parallel with --jobs 2

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/python .ci/dead_code.py

test: setup  ## the tests, without the slow ones
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PARALLEL) -m "not slow"

test-slow: setup  ## the slow tests
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PARALLEL) -m "slow and not peers and not exhaustive"

test-exhaustive: setup  ## what the slow tests try with some tasks, robots and seeds, with many more
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PARALLEL) -m exhaustive

test-peers: setup  ## what other toolkits' own code makes of ours: they are installed for it
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PARALLEL) -m peers

build: setup  ## wheel and sdist into dist/, each tried away from this checkout
	rm -rf build dist
	$(BIN)/python -m build --quiet --no-isolation --sdist --wheel
	$(BIN)/python -m build --quiet --no-isolation --wheel --outdir dist lerobot_env
	rm -rf lerobot_env/build lerobot_env/*.egg-info
	$(BIN)/python .ci/try_distributions.py dist

bench: setup  ## measure speed
	$(BIN)/embodied bench

docs: setup  ## bring docs/tasks.md, docs/datasets.md and docs/api.md up to date
	$(BIN)/python -m embodied.pages.task_page docs/tasks.md
	$(BIN)/python -m embodied.pages.dataset_page docs/datasets.md
	$(BIN)/python -m embodied.pages.api_page docs/api.md
	$(BIN)/python -m embodied.pages.results_schema_page docs/results.schema.json

gallery: setup  ## film every task and robot into docs/images
	$(BIN)/embodied gallery

# the data and the training of `embodied demo --full`
SHIPPED := ToteTransfer-arm
RECORD := --planner-hz 8 --record-hz 8 --noise 0.33 --overwrite

pretrained: setup  ## train the policy that ships with the package anew (some 10 minutes)
	$(BIN)/embodied collect ToteTransfer --level L1 --episodes 220 $(RECORD) -o runs/pretrained-L1.hdf5
	$(BIN)/embodied collect ToteTransfer --level L2 --episodes 340 $(RECORD) -o runs/pretrained-L2.hdf5
	$(BIN)/embodied train runs/pretrained-L1.hdf5 runs/pretrained-L2.hdf5 --steps 3500 --overwrite -o runs/$(SHIPPED)
	mkdir -p policies/pretrained/$(SHIPPED)
	cp runs/$(SHIPPED)/policy.safetensors runs/$(SHIPPED)/*.json policies/pretrained/$(SHIPPED)

clean:  ## remove what was built, not .venv and not runs
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
