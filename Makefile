# make repro   install, run the study, print its findings
# make test    install, run the tests
# make atlas   build the page on which all prototypes can be looked at, and open it
# make docs    build the documentation site
# make bench   how fast prototypes are made, against other ways, in one table
# make bench-gpu   what a GPU does with the full study's networks, in six minutes
# make bench-priors PHOTOGRAPHS=folder   what each image prior is good for, in another
# Needs Python 3.11 or later, git and make; everything else comes into .venv from requirements.lock.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS := 1
export DVC_NO_ANALYTICS := 1
export UV_HTTP_TIMEOUT := 120

# Stages or tests side by side, such as `make repro JOBS=4`; by default one for each core.
JOBS ?=

.PHONY: help repro test quick check docs bench bench-gpu bench-priors figures atlas verify publish lock install clean

help:
	@sed -n 's/^# make/make/p' Makefile
	@echo "make check   lint, format, types, tests"
	@echo "make quick   the tests without the slow ones"
	@echo "make figures draw the figures, and run what they need"
	@echo "make verify  check that all outputs are whole and undamaged"
	@echo "make publish push the outputs to DVC's default remote, the folder published/"
	@echo "make lock    pin the newest versions that pyproject.toml allows"
	@echo "make clean   delete the environment and the caches of tools, no results"

repro: install
	@python -m protoviz repro $(if $(JOBS),--jobs $(JOBS))

# Some seventeen to twenty minutes on two cores; those marked `slow`, which run the pipeline, take most of it.
test: install
	@python -m pytest --numprocesses $(or $(JOBS),auto) --maxprocesses 8

quick: install
	@python -m pytest --numprocesses $(or $(JOBS),auto) --maxprocesses 8 -m "not slow"

check: install
	ruff check
	ruff format --check
	mypy
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory test

# Runs the tutorials, and is strict about links and names; build/site/index.html opens from the folder.
docs: install
	@NO_MKDOCS_2_WARNING=1 python -W ignore -m mkdocs build --quiet

# Some tens of minutes on two cores; `make bench DEVICE=cuda` on a GPU.
bench: install
	@python -m benchmarks.synthesis --device $(or $(DEVICE),cpu)

# At most six minutes of an H100; `make bench-gpu PARTS=a,c` for some of its parts.
bench-gpu: install
	@python -m benchmarks.gpu --device $(or $(DEVICE),cuda) $(if $(PARTS),--parts $(PARTS))

# Some ten minutes of one core. JUDGE_STATE: weights of a CIFAR-10 ResNet-20, for the nearness to photographs.
bench-priors: install
	@python -m benchmarks.priors $(PHOTOGRAPHS) \
		$(if $(JUDGE_STATE),--judge benchmarks/resnet20.py:cifar10 --state $(JUDGE_STATE))

figures: install
	@dvc repro figures

verify: install
	@python -m protoviz verify

publish: install
	@python -m protoviz publish

atlas: install
	@dvc repro atlas
	@python -m protoviz atlas $(if $(PORT),--port $(PORT))

lock: install
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --no-emit-index-url \
		--custom-compile-command "make lock" --quiet --all-extras pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache *.egg-info build
	find protoviz stages tests -name __pycache__ -type d -exec rm -rf {} +

install: .venv/installed

# uv, by its hash in the lock file, installs the rest by theirs, compiled: each of some thirty stage processes
# starts seconds sooner, also where Python may not write bytecode. What numba compiles when umap is imported for
# the first time, it keeps: half a minute that stages or tests side by side would all spend.
.venv/installed: requirements.lock pyproject.toml
	@git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { \
		echo "$(CURDIR): expected a git clone, found none (or no git); clone the repository, DVC needs it" >&2; exit 1; }
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "python3: expected Python 3.11 or later with venv, found $$(python3 --version 2>&1); install it" >&2; exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "Installing into .venv (some 6 GB, once) ..."; rm -rf .venv; $$python -m venv .venv; \
	fi
	@awk '/^[^ #]/ {ours = /^uv==/} ours && !/^ *#/' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 5 --timeout 60 \
		--require-hashes --no-deps -r .venv/uv.txt
	@uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@uv pip install --quiet --python $(BIN)/python --offline --no-build-isolation --no-deps --editable .
	@$(BIN)/python -W ignore -c 'import umap'
	@touch $@
