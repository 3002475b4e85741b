# Each target sets up .venv by itself; a bare machine needs only Python >= 3.11 and make.
# make PYTHON=/path/to/python3 …   another interpreter (the best one on PATH otherwise)
# make VENV=.venv-3.13 …           another virtual environment, for a second interpreter
# make test ARGS="-k cursor -x"    arguments for pytest
PYTHON ?=
VENV ?= .venv
ARGS ?=
# Two a processor: the tests wait for other processes half of the time.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-all check bench matrix soak collector servers clean

help:
	@echo "make demo      record example apps, stop the database, replay them"
	@echo "make test      the tests that need only Python"
	@echo "make test-all  every test"
	@echo "make check     lint, format, types, dependencies between rooms"
	@echo "make bench     overhead and replay speed beside the bare driver"
	@echo "make matrix    what --verify must pass and must catch, twenty times over"
	@echo "make soak      20,000 requests, killed in the middle, ten times: what was answered is recorded (half an hour)"
	@echo "make collector find or build the OpenTelemetry Collector that some tests start (needs Go 1.26)"
	@echo "make servers   install the servers that some tests start, from Debian (PostgreSQL, MariaDB, Redis, Memcached, RabbitMQ)"
	@echo "make clean     remove .venv* and caches"

$(READY): pyproject.toml scripts/venv.sh
	@VENV=$(VENV) scripts/venv.sh $(PYTHON)
	@touch $@

demo: $(READY)
	@$(BIN)/python -m examples.demo

test: $(READY)
	@$(BIN)/python -m pytest -m "not system" -n $(WORKERS) --dist loadfile $(ARGS)

test-all: $(READY)
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(READY)
	@$(BIN)/python -m benchmarks.run

matrix: $(READY)
	@for n in $$(seq 20); do echo "round $$n of 20"; $(BIN)/python -m pytest -q tests/matrix $(ARGS) || exit 1; done

soak: $(READY)
	@$(BIN)/python -m scripts.soak $(ARGS)

collector:
	@scripts/install-otelcol

servers:
	@scripts/install-servers

clean:
	@rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
