# Everything here does its own set-up. On Debian and Ubuntu that includes the distribution's packages, when
# run as root; elsewhere it says what to install.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Whatever language this is run in: one that is not installed would have Python read paths as ASCII.
export LC_ALL := C.UTF-8

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Installs what the lock names; the newest would do too, but a new machine should get what was tested.
UV := uv==0.13.8
# Each has an Engine and a Redis of its own. A module's tests stay together: they share its worker.
PROCESSES ?= 2
PARALLEL := $(if $(filter-out 1,$(PROCESSES)),--numprocesses $(PROCESSES) --dist loadfile)

# What pods are promised is tried on a pool as well; `make test-pool` has more of it.
PROMISES := tests/integration/test_promises.py tests/integration/test_persistence.py
ON_POOL := $(patsubst %,tests/integration/test_%.py,updates system lost_store outages mass_recovery)

.PHONY: help demo up client schema test test-fast test-pool test-vm chaos load zoo fresh mutants bench screens bases helper check release-check format lock clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## Show a pod keeping its data while its container is destroyed, with POOL=1 on a pool (needs root)
	$(BIN)/python -m worker.local.demo $(if $(POOL),--pool)

up: $(STAMP) ## Run the whole stack in the foreground until it gets a signal to end
	$(BIN)/python -m worker.local.up

test: $(STAMP) ## Run every test (needs root: real Engines, real Redis, real containers)
	$(BIN)/python -m worker.local.packages
	$(BIN)/pytest --durations=15 $(PARALLEL) $(TESTS) $(if $(RUNTIME),--pod-runtime $(RUNTIME)) $(if $(SUITE),--engine-suite $(SUITE))
	$(if $(TESTS)$(RUNTIME),,$(BIN)/pytest $(PARALLEL) --backend pool $(PROMISES) $(if $(SUITE),--engine-suite $(SUITE)))

test-fast: $(STAMP) ## Run the tests that need no Engine, in less than three minutes
	$(BIN)/python -m worker.local.packages
	$(BIN)/pytest -q --hypothesis-profile quick $(PARALLEL) tests/unit tests/properties tests/contract

test-pool: $(STAMP) ## Try a pool on a real btrfs (needs root, loop devices, Linux 6.7)
	$(BIN)/python -m worker.local.packages
	$(BIN)/pytest tests/pool $(if $(SUITE),--engine-suite $(SUITE))
	$(BIN)/pytest --backend pool $(PROMISES) $(ON_POOL) tests/images tests/chaos $(if $(SUITE),--engine-suite $(SUITE))

test-vm: $(STAMP) ## Cut the power of a virtual machine that runs pods (needs root)
	$(BIN)/pytest -s tests/vm

chaos: $(STAMP) ## Kill everything at random for SECONDS (3600), again with SEED (needs root)
	$(BIN)/python -m worker.local.packages
	$(BIN)/pytest -s tests/chaos --chaos-seconds $(or $(SECONDS),3600) $(if $(SEED),--chaos-seed $(SEED))

load: $(STAMP) ## Serve a hundred callers, honest and hostile, for SECONDS (600), again with SEED (needs root)
	$(BIN)/python -m worker.local.packages
	$(BIN)/pytest -s tests/load --load-seconds $(or $(SECONDS),600) $(if $(SEED),--load-seed $(SEED))

zoo: $(STAMP) ## Take pods of many odd images through all that can happen; kill a database twenty times (needs root)
	$(BIN)/python -m worker.local.packages
	$(BIN)/pytest -s tests/images --zoo --durations=25

fresh: ## Take the ways of the README on a fresh Debian that has nothing but git, make and python3 (needs root)
	tests/acceptance/fresh-machine env PYTEST_ADDOPTS=--timeout=1200 make test PROCESSES=1 TESTS="tests/acceptance tests/fresh"

mutants: $(STAMP) ## Break the code in each small way and see whether the fast tests notice (hours)
	$(BIN)/python -m worker.local.packages
	$(BIN)/python -m tests.mutants

bench: $(STAMP) ## Measure against the Engine's floor on this machine (needs root)
	$(BIN)/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(COMPARE),--compare $(COMPARE))

screens: $(STAMP) ## Draw the pictures of the command line for the docs again (needs root)
	$(BIN)/python -m worker.local.packages
	$(BIN)/python -m tests.screens

bases: $(STAMP) ## Build base images for docker compose from Debian's packages, where no registry is (needs root)
	@$(BIN)/python -m worker.local.base_images

helper: $(STAMP) ## Build the image of a pool's helper from Debian's packages, for a worker without containers (needs root)
	@$(BIN)/python -m worker.local.base_images --helper

check: $(STAMP) ## Lint, check types, the architecture and the links of the docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy docs/examples/follow.py
	$(BIN)/lint-imports --no-logo
	rm -rf .site
	mkdir -p .site/pages/config
	cp -R README.md CONTRIBUTING.md CHANGELOG.md LICENSE .env.example docs .site/pages
	cp -R config/prometheus .site/pages/config
	$(BIN)/mkdocs build --strict --config-file docs/mkdocs.yml

client: $(STAMP) ## Build the wheel pinacle-client, for programs in Python that have pods, into dist
	@$(BIN)/python -m worker.local.published.wheel

schema: $(STAMP) ## Write docs/schema and the types for Node again, as the code has them
	@$(BIN)/python -m worker.local.published.schema

release-check: $(STAMP) ## Say what stands in the way of a release of this checkout
	$(BIN)/python -m tests.release

format: $(STAMP) ## Format the code and fix what can be fixed automatically
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(STAMP) ## Pin all dependencies again, by hash and without any address
	$(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --no-header --extra traces pyproject.toml -o requirements-traces.lock
	sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml | $(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --no-header --no-annotate - -o requirements-build.lock
	$(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --no-header --extra dev pyproject.toml -o requirements-dev.lock

clean: ## Remove what was made here, except .pinacle, which holds data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .site dist

$(STAMP): requirements-dev.lock pyproject.toml
	@worker/local/make-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(UV)
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --editable .
	@touch $@
