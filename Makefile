# Every way in. `make run` needs Python 3.11 or 3.12 and nothing else; `make test` installs what it needs.

PYTHON ?= $(firstword $(foreach v,3.11 3.12,$(if $(shell python$(v) -c 'import venv' 2>/dev/null && echo yes),python$(v))) python3)
EXTRAS := gateway signaling storage transport node dev

# Variables given on the command line become flags; those of the shell (HOST is one in some) do not.
flag = $(if $(filter command,$(firstword $(origin $(1)))),--$(2) '$($(1))')
UP_FLAGS = $(call flag,HTTP_PORT,http-port) $(call flag,WS_PORT,ws-port) $(call flag,DB,db) \
           $(call flag,PUBLIC_BASE,public-base) $(call flag,HOST,host)

.DEFAULT_GOAL := build
.PHONY: build run lock

build: .venv/node.stamp

.venv/node.stamp: requirements/node.txt pyproject.toml
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/node.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: build
	@exec .venv/bin/python -m egoat up $(UP_FLAGS)

# Locks every extra with hashes and without index addresses.
lock:
	@for extra in $(EXTRAS); do \
	  uv pip compile --quiet pyproject.toml --extra $$extra --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header -o requirements/$$extra.txt || exit 1; done
