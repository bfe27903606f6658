# Two commands on a fresh machine:
#
#   make train-small    installs everything into .venv, trains every stage on the CPU, shows what was learnt
#   make test           runs every test and lesson, and the README's commands on the smallest model
#
# Variables:
#   PYTHON=python3.12   the interpreter for .venv (default: the first python3 that is 3.11 or newer)
#   TORCH_INDEX=URL     where torch comes from. On Linux the default wheel brings the CUDA libraries (some gigabytes);
#                       without a GPU, give the address of PyTorch's CPU wheels (see "Get Started" at pytorch.org).
#   OMP_NUM_THREADS=2   torch threads of a notebook server; never more than there are cores (default 2)
#   ARGS="..."          added to the command that a target runs, e.g. make test ARGS="tests/optim -x"

PYTHONS := python3 python3.13 python3.12 python3.11 python3.14
PYTHON ?= $(firstword $(foreach p,$(PYTHONS),$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $(p))))
TORCH := torch==2.13.0
BIN := .venv/bin
STAMP := .venv/.installed
OMP_NUM_THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup results train-small train-nano small small-text check test lint types findings bench bench-kernels data-show clean notebooks notebooks-check my lab site

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv and install the pinned packages (every other target does it when needed)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "minikimi needs Python 3.11 or newer: install one, or name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make .venv: install its venv module (Debian: python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH) \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	PYTHONWARNINGS=ignore:Editable $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,notebooks,browser,benchmarks]"
	@touch $@

train-small: setup ## train every stage of the small model on the CPU and show what it learnt
	$(BIN)/minikimi train --preset small $(ARGS)

train-nano: setup ## the same with the smallest model, to try the machinery
	$(BIN)/minikimi train --preset nano $(ARGS)

small-text: setup ## make the shipped language model again (a GPU: minutes)
	$(BIN)/minikimi train --preset small --stage text --run runs/small-text --resume $(ARGS)
	$(BIN)/python -m minikimi.shipping runs/small-text small-text

small: setup ## make the shipped small model again (two CPU cores: 18 minutes)
	$(BIN)/minikimi train --preset small --run runs/small --resume $(ARGS)
	$(BIN)/python -m minikimi.shipping runs/small small

check: setup lint types ## style, types and the fast tests, in about a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -q -m "not slow" $(ARGS)

test: setup ## run every test, on all cores, one torch thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(ARGS)

lint: setup ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## check types
	$(BIN)/mypy

results: setup ## write docs/results.md from the card of the shipped model
	$(BIN)/python -m minikimi.report.results_page small > docs/results.md

findings: setup ## measure the papers' claims again at toy scale (ARGS="--workers 8": on 8 cores)
	$(BIN)/minikimi findings $(ARGS)

bench: setup ## measure the model on this machine
	$(BIN)/minikimi bench $(ARGS)

bench-kernels: setup ## measure the Triton kernels beside the best known alternatives (needs a CUDA GPU)
	$(BIN)/python -m minikimi_kernels.bench $(ARGS)

data-show: setup ## draw a page of training samples
	$(BIN)/minikimi data show $(ARGS)

notebooks: setup ## build and run all lessons (one: make notebooks LESSON=02)
	$(BIN)/python -m minikimi.lab.authoring.build $(LESSON)
	$(BIN)/python -m minikimi.lab.authoring.teaching

notebooks-check: setup ## rebuild the lessons aside; fails if a committed notebook differs in one byte
	$(BIN)/python -m minikimi.lab.authoring.build --check $(LESSON)
	$(BIN)/python -m minikimi.lab.authoring.teaching --check

my: setup ## copy the lessons to my/, where you work; never overwrites what is there
	$(BIN)/python -m minikimi.lab.my

lab: my ## start JupyterLab on your copies
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN)/python -m jupyterlab my $(ARGS)

site: setup ## write the course as web pages to site/ (open site/index.html)
	$(BIN)/python -m minikimi.lab.authoring.website

clean: ## remove .venv, caches and build output; runs/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
