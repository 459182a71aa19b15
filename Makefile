# The project's commands; `make` alone lists them.

PYTHON ?= python3
VENV ?= .venv
DURATION ?= 10

BIN := $(abspath $(VENV))/bin
APT := apt-get install -y --no-install-recommends python3-venv python3-dev gcc libc6-dev make ca-certificates git
export PATH := $(BIN):$(PATH)                   # cython-lint calls pycodestyle by its bare name

# Vectors from elsewhere; tests that read them skip where the folder is missing.
ifneq ($(wildcard ../shared/data),)
SHADOWLAND_VECTORS ?= $(abspath ../shared/data)
export SHADOWLAND_VECTORS
endif

.DEFAULT_GOAL := help
.PHONY: help build quick test demo clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-18s %s\n' "$$name" "$$text"; done

$(VENV)/.dependencies: pyproject.toml
	@missing=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
		2>/dev/null || missing="$$missing python3-dev"; \
	command -v gcc >/dev/null || missing="$$missing gcc"; \
	test -e /usr/include/stdio.h || missing="$$missing libc6-dev"; \
	command -v git >/dev/null || missing="$$missing git"; \
	if [ -n "$$missing" ]; then \
		printf 'Missing on this machine:%s\nOn Debian 12 this line brings all that is needed:\n  %s\n' "$$missing" "$(APT)" >&2; \
		exit 1; \
	fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
		print(*p["build-system"]["requires"], *p["project"]["dependencies"], \
		*p["project"]["optional-dependencies"]["test"], sep="\n")' > $(VENV)/requirements.txt
	$(BIN)/python -m pip install --quiet -r $(VENV)/requirements.txt
	@touch $@

# Once: afterwards build_ext --inplace puts new modules where the editable install looks.
$(VENV)/.editable: $(VENV)/.dependencies
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

build: $(VENV)/.editable ## build the extension modules in place
	@$(BIN)/python setup.py --quiet build_ext --inplace

quick: build ## the tests alone, without lint and wheel
	@$(BIN)/python -m pytest -q $(ARGS)

test: build ## everything that must hold before a push
	@$(BIN)/python -m pytest -q

demo: build ## a server and bots on this machine for DURATION= seconds
	@$(BIN)/shadowland-server demo --duration $(DURATION)

clean: ## remove everything that was built, and the virtual environment
	rm -rf build dist *.egg-info $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find shadowland -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
