# The project's commands; `make` alone lists them.

PYTHON ?= python3
VENV ?= .venv
DURATION ?= 30
SECONDS ?= 20
NAME ?= echo
ROOM ?= session/replay

BIN := $(abspath $(VENV))/bin
APT := apt-get install -y --no-install-recommends python3-venv python3-dev gcc libc6-dev make ca-certificates git
CHECKED := $(wildcard shadowland server_app tests benchmarks examples wheels)
ROOMS = $(shell find _core -name '*.pyx')
SHIPPED = setup.py pyproject.toml MANIFEST.in README.md LICENSE $(shell find _core shadowland server_app wheels \
	-name '*.py' -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h')
export PATH := $(BIN):$(PATH)           # cython-lint calls pycodestyle by its bare name

# Vectors from elsewhere; tests that read them skip where the folder is missing.
ifneq ($(wildcard ../shared/data),)
SHADOWLAND_VECTORS ?= $(abspath ../shared/data)
export SHADOWLAND_VECTORS
endif

.DEFAULT_GOAL := help
.PHONY: help types build debug test quick pytest bench peers compare lint lint-python lint-cython stubs wheel annotate attack cheats fuzz asan demo sim soak nightly clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf 'make %-10s %s\n' "$$name" "$$text"; done

$(VENV)/.dependencies: pyproject.toml
	@missing=; \
	python='import ensurepip, os, sys, sysconfig, venv; sys.exit(0 if sys.version_info >= (3, 11) else 11)'; \
	$(PYTHON) -c "$$python" 2>/dev/null; case $$? in \
		0) ;; \
		11) echo '$(PYTHON) is older than 3.11: name a newer one, as in make PYTHON=python3.11' >&2; exit 1;; \
		*) missing="$$missing python3-venv";; \
	esac; \
	test -e "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" \
		|| missing="$$missing python3-dev"; \
	command -v gcc >/dev/null || missing="$$missing gcc"; \
	test -e /usr/include/stdio.h || missing="$$missing libc6-dev"; \
	test -e /etc/ssl/certs/ca-certificates.crt || missing="$$missing ca-certificates"; \
	command -v git >/dev/null || missing="$$missing git"; \
	if [ -n "$$missing" ]; then \
		printf 'Missing on this machine:%s\nOn Debian 12 this line brings all that is needed:\n  %s\n' "$$missing" '$(APT)' >&2; \
		exit 1; \
	fi
	@echo 'Preparing $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
		print(*p["build-system"]["requires"], *p["project"]["dependencies"], \
		*p["project"]["optional-dependencies"]["test"], sep="\n")' > $(VENV)/requirements.txt
	@$(BIN)/python -m pip install -qq -r $(VENV)/requirements.txt
	@touch $@

# Once: afterwards build_ext --inplace puts the modules where the editable install looks.
$(VENV)/.editable: $(VENV)/.dependencies
	@SHADOWLAND_LINK_ONLY=1 $(BIN)/python -m pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

build: $(VENV)/.editable ## build the extension modules in place
	@test -n "$$(find shadowland/_core -name '*.so' | head -1)" || echo 'Compiling the extension modules, a minute or two'
	@$(BIN)/python setup.py --quiet build_ext --inplace

debug: $(VENV)/.editable ## build with bounds checks and asserts and run the unit tests on it; `make build` goes back
	@SHADOWLAND_DEBUG=1 $(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -m pytest -q $(wildcard tests/unit tests/parity tests/property tests/golden) $(ARGS)

quick: build ## the tests alone, without lint and wheel; ARGS= goes to pytest
	@$(BIN)/python -m pytest -q $(ARGS)

# The tests come last, alone on the machine: some of them count allocations or watch the clock.
test: build ## everything that must hold before a push
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint stubs wheel
	@$(BIN)/python -m pytest -q

lint: lint-python lint-cython ## ruff, mypy and cython-lint

lint-python: build
	@$(BIN)/ruff check --quiet setup.py $(CHECKED)
	@$(BIN)/mypy --no-error-summary $(CHECKED)

lint-cython: $(VENV)/.dependencies
	@$(BIN)/cython-lint _core

stubs: build ## compare every stub with its built module
	@$(BIN)/python -m mypy.stubtest --concise --ignore-unused-allowlist --allowlist tests/tidy/stubtest-allowlist.txt \
		$(subst /,.,$(ROOMS:_core/%.pyx=shadowland/_core/%)) > build/stubtest.log || { cat build/stubtest.log; exit 1; }

wheel: dist/.smoked ## build the sdist, the wheel from it, and try the wheel in an empty environment

# SOURCES.txt goes first: setuptools reads the old one back, which hides a file that MANIFEST.in forgot.
dist/.smoked: $(VENV)/.editable $(SHIPPED)
	@rm -rf dist shadowland_net.egg-info/SOURCES.txt
	@$(BIN)/python -m build --no-isolation --outdir dist . > build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
	@$(BIN)/python wheels/smoke.py dist/*.whl
	@touch $@

annotate: build ## Cython's annotated HTML of ROOM= (as in session/replay), in build/annotate
	@mkdir -p build/annotate/$(dir $(ROOM))
	@$(BIN)/cython -3 -a -I build/cimport --module-name $(subst /,.,shadowland/_core/$(ROOM)) \
		-X boundscheck=False -X initializedcheck=False -X wraparound=False -X cdivision=True \
		-o build/annotate/$(ROOM).c _core/$(ROOM).pyx
	@echo build/annotate/$(ROOM).html

sim: build ## the tests over the simulated network, once, with SEED= everywhere
	@SHADOWLAND_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q --hypothesis-seed=$(or $(SEED),1) tests/sim $(ARGS)

soak: build ## 200 sessions over bad networks, simulated and real: make soak SECONDS=60 SEED=1
	@$(BIN)/python -m tests.soak.soak --seconds $(SECONDS) --seed $(or $(SEED),1)

nightly: build ## the state machine of sessions, 10,000 examples; SEED= for the same ones again
	@SHADOWLAND_SEED=$(SEED) HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q -rP tests/sim/test_machine.py

bench: build ## measure: make bench NAME=echo ARGS="--rounds 5", its JSON line last
	@$(BIN)/python -m benchmarks.$(NAME) $(ARGS)

# pyenet asks for a Cython of before version 1, which it needs only to be built; ours must stay.
peers: build ## ours beside pyenet and aioquic over a bad network: goodput, CPU, time to deliver
	@$(BIN)/python -m pip install -qq --no-deps pyenet
	@$(BIN)/python -m pip install -qq aioquic
	@$(BIN)/python -m benchmarks.peers --seconds 5 $(ARGS)

types: build ## pyright over the examples and a program of typing mistakes; fetches it and its node once (280 MB unpacked)
	@$(BIN)/python -c 'import basedpyright' 2>/dev/null || $(BIN)/python -m pip install -qq basedpyright
	@$(BIN)/python -m tests.pyright

compare: build ## two results of one benchmark side by side: make compare A=before.json B=after.json
	@$(BIN)/python -m benchmarks.compare $(A) $(B)

attack: build ## play the attacker on this machine: make attack SECONDS=20 ARGS="hello_flood cookie_theft"
	@$(BIN)/python -m tests.attack --seconds $(SECONDS) $(ARGS)

cheats: build ## 1,000 cheats among 200 honest players over real UDP: make cheats SECONDS=20 ARGS="--cheats 100"
	@$(BIN)/python -m tests.cheats --seconds $(SECONDS) $(ARGS)

fuzz: build ## coverage-guided, under sanitizers, SECONDS= a target: make fuzz SECONDS=60 ARGS="--targets acks,server --keep"
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

asan: build ## unit, parity and simulated tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(BIN)/python -m tests.fuzz.asan $(ARGS)

demo: build ## a server and bots on this machine for DURATION= seconds
	@$(BIN)/shadowland-server demo --duration $(DURATION)

clean: ## remove everything that was built, and the virtual environment
	rm -rf build dist *.egg-info $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find shadowland -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
