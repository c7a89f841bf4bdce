# `make run` and `make test` install everything they need; `make help` lists all targets.

PYTHON ?= python3
VENV ?= .venv
LOCK ?= requirements/dev.txt
PORT ?= 8000
SEED ?= 1
EXAMPLES ?= 1500
ROWS ?= 50000
MAILBOXES ?= 100000
MESSAGES ?= 1000

manage = $(VENV)/bin/python manage.py
install = $(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement
random = $(VENV)/bin/python -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes($(1))).decode())'

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run dev test test-postgres trust bench-growth burst call fuzz import-50000 lookups-100000 screenshots check audit lock

help: ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

run: $(VENV)/run.stamp .env var/static/staticfiles.json ## serve on 127.0.0.1:8000 (PORT=… for another)
	@$(manage) run --port $(PORT)

dev: $(VENV)/dev.stamp .env ## serve with auto-reload, for developers
	@$(manage) migrate --verbosity 0
	@DEBUG=on $(manage) runserver 127.0.0.1:$(PORT)

test: $(VENV)/dev.stamp var/static/staticfiles.json ## run the tests (LONG=on: slow tests too; REQUIRE=postgres,browser,…: fail instead of skipping, see CONTRIBUTING.md)
	@$(VENV)/bin/pytest --numprocesses auto --dist worksteal --quiet $(if $(LONG),,$(quick)) $(ARGS)

# Every test in the ignored file is long, and to collect them takes seconds.
quick = -m 'not long' --ignore tests/api/test_fuzz.py

test-postgres: $(VENV)/dev.stamp ## run the tests on a private PostgreSQL
	@$(VENV)/bin/python -m tests.postgres $(MAKE) --no-print-directory test

trust: $(VENV)/dev.stamp var/static/staticfiles.json ## test the promises of SECURITY.md at length, and print a table
	@TRUST=full $(VENV)/bin/pytest --quiet tests/guarantees $(ARGS)

bench-growth: $(VENV)/dev.stamp ## compare one account among 1,000, 100,000 and 1,000,000 mailboxes: takes minutes
	@$(VENV)/bin/python -m tests.benchmarks.growth

burst: $(VENV)/dev.stamp ## hand in 1,000 messages at once, and time mails and other calls (MESSAGES=…, DATABASE=sqlite or postgresql)
	@MESSAGES=$(MESSAGES) DATABASE=$(DATABASE) $(VENV)/bin/python -m tests.benchmarks.burst

call: $(VENV)/dev.stamp var/static/staticfiles.json ## place calls to a real Asterisk, and print a report (ASTERISK_KIT=…)
	@$(VENV)/bin/python -m tests.engines.live_call

fuzz: $(VENV)/dev.stamp ## make over 20,000 generated API calls (SEED=… for other calls, EXAMPLES=… for each command)
	@FUZZ_SEED=$(SEED) FUZZ_EXAMPLES=$(EXAMPLES) $(VENV)/bin/pytest --quiet -p no:logging tests/api/test_fuzz.py tests/api/test_fuzz_forms.py

import-50000: $(VENV)/dev.stamp ## import CSV files of 50,000 rows, and time each phase (ROWS=… for another number)
	@IMPORT_ROWS=$(ROWS) $(VENV)/bin/pytest --quiet tests/console/test_import_speed.py

lookups-100000: $(VENV)/dev.stamp ## time engines' lookups among 100,000 mailboxes (MAILBOXES=… for another number)
	@MAILBOXES=$(MAILBOXES) $(VENV)/bin/python -m tests.engines.lookup_speed

screenshots: $(VENV)/dev.stamp var/static/staticfiles.json ## take the README's pictures of the console again
	@$(VENV)/bin/python -m tests.screenshots

check: $(VENV)/dev.stamp ## check style, types, migrations and production settings
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/djlint --quiet --check --lint templates
	@$(VENV)/bin/mypy
	@ENV_FILE=/dev/null SECRET_KEY=$$($(call random,50)) PASS_CODE_KEYS=$$($(call random,32)) \
		ALLOWED_HOSTS=mailboxes.example DATABASE_URL=sqlite://:memory: \
		sh -c '$(manage) makemigrations --check --dry-run && $(manage) check --deploy --fail-level WARNING'

audit: $(VENV)/dev.stamp ## look for vulnerable dependencies, unsafe code and committed secrets
	@$(VENV)/bin/python -m tests.audit

lock: ## write requirements/*.txt again from pyproject.toml (needs uv on the PATH)
	@command -v uv >/dev/null || { echo "uv is missing. Install it: pip install uv"; exit 1; }
	@$(call compile,run,django<6,3.11,--extra voices)
	@$(call compile,dev,django<6,3.11,$(extras) --constraint requirements/run.txt)
	@$(call compile,django6,django>=6,3.12,$(extras))

extras = --extra dev --extra metrics --extra sentry --extra s3 --extra voices --extra whisper
compile = echo '$(2)' | uv pip compile --quiet pyproject.toml - $(4) --python-version $(3) --universal --upgrade \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	--output-file requirements/$(1).txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or later is needed, as in: make run PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is needed (on Debian: apt install python3-venv)."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt | $(VENV)/bin/python
	@$(install) $<
	@touch $@

$(VENV)/dev.stamp: $(LOCK) | $(VENV)/bin/python
	@$(install) $<
	@touch $@

# The service's keys, created once. If PASS_CODE_KEYS is lost, the pass codes cannot be recovered.
.env: | $(VENV)/bin/python
	@umask 077; { \
		echo "SECRET_KEY=$$($(call random,50))"; \
		echo "PASS_CODE_KEYS=$$($(call random,32))"; \
		echo "ALLOWED_HOSTS=localhost,127.0.0.1,[::1]"; \
		echo "HTTPS=off"; \
		echo "EMAIL_URL=file:var/mail"; \
		echo "MAIL_FROM=Voicemail <voicemail@localhost>"; \
	} > $@.new && mv $@.new $@

var/static/staticfiles.json: .env $(shell find static -type f)
	@$(manage) collectstatic --noinput --verbosity 0
