# Every way in. `make run` needs Python 3.11 or 3.12 and nothing else; `make test` brings what it needs.

CHECK_PYTHON = -c 'import ensurepip, venv' 2>/dev/null && echo yes
PYTHON ?= $(firstword $(foreach v,3.11 3.12,$(if $(shell python$(v) $(CHECK_PYTHON)),python$(v))) python3)
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
EXTRAS := gateway signaling storage transport node dev

# Variables given on the command line become flags; those of the shell (HOST is one in some) do not.
flag = $(if $(filter command,$(firstword $(origin $(1)))),--$(2) '$($(1))')
UP_FLAGS = $(call flag,HTTP_PORT,http-port) $(call flag,WS_PORT,ws-port) $(call flag,DB,db) \
           $(call flag,PUBLIC_BASE,public-base) $(call flag,HOST,host) \
           $(call flag,TURN_PORT,turn-port) $(call flag,TURN_RELAY_PORTS,turn-relay-ports) \
           $(call flag,TURN_EXTERNAL_IP,turn-external-ip)

.DEFAULT_GOAL := build
.PHONY: build run test quick-test no-e2e-test e2e-test planted chaos switches verify lint all clean protocol lock dev

# --- running a node ---

build: .venv/node.stamp

.venv/node.stamp: requirements/node.txt pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements/node.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

run: build
	@exec $(PY) -m egoat up $(UP_FLAGS)

# --- tests ---

dev: .venv/dev.stamp

.venv/dev.stamp: .venv/node.stamp requirements/dev.txt
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

test: dev
	@scripts/setup-tests.sh
	@$(PY) scripts/test_groups.py unit contract node integration chaos run compose browser natlab

no-e2e-test: dev
	@scripts/setup-tests.sh
	@$(PY) scripts/test_groups.py unit contract node integration chaos run

e2e-test: dev
	@scripts/setup-tests.sh
	@$(PY) scripts/test_groups.py compose browser

# Each important check against the bug it exists for.
planted: dev
	@scripts/setup-tests.sh
	@$(PY) scripts/planted.py

# A long storm over a real node, then a thousand power cuts. SEED=N repeats the faults of a run.
chaos: dev
	@$(PY) -m tests.chaos.scenario --seconds $(or $(SECONDS),600) --kills-per-second 1 --writers 10 $(if $(SEED),--seed $(SEED))
	@$(PY) -m tests.chaos.power_cut --cuts 1000 --messages 3000 $(if $(SEED),--seed $(SEED))

# All twelve changes between the four rungs of a browser, two thousand messages each.
switches: dev
	@scripts/setup-tests.sh
	@$(PY) -m tests.browser.switching

quick-test: dev
	@scripts/setup-tests.sh node
	@$(PY) scripts/test_groups.py unit contract node

verify: dev
	@$(PY) -m egoat protocol --check
	@$(PY) -m pip check --disable-pip-version-check >/dev/null
	@for service in gateway signaling storage transport; do $(PY) -c "import services.$$service.app" || exit 1; done
	@echo "verify: generated files up to date, requirements consistent, every service imports"

lint: dev node_modules/.stamp
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@out=$$(.venv/bin/lint-imports --no-logo) || { echo "$$out"; exit 1; }
	@npm run --silent types
	@npm run --silent lint
	@echo "lint: clean"

node_modules/.stamp: package-lock.json
	@scripts/setup-tests.sh node
	@npm ci --silent --no-audit --no-fund
	@touch $@

all: build lint test

# --- upkeep ---

protocol: build
	@$(PY) -m egoat protocol

# Locks every extra with hashes and without index addresses.
lock:
	@for extra in $(EXTRAS); do \
	  uv pip compile --quiet pyproject.toml --extra $$extra --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header -o requirements/$$extra.txt || exit 1; done

# Removes everything git ignores, except the virtual environment.
clean:
	@git clean -fdXq -e '!.venv' -e '!.venv/**'
