# make demo    the experiment, in every browser and backend found here
# make test    the gates and every test, browsers included
# make check   the gates and the fast tests, without a browser
# make bench   the benchmarks, into docs/benchmarks.md
# make keras2  models that Keras 2.15 itself writes, in an environment of its own
# make applications  the families of keras.applications, layer by layer, into docs/applications.md; takes an hour
# make conformance  every layer and option on every backend, into docs/coverage.md; SHARD=1/2 for a part of it
# make prove   the exact runtime's functions on all inputs (an hour; can be stopped and resumed); docs/proof.md
# make bits    the exact runtime's bits in all engines against the golden files, into docs/bits.md; resumable; SHARD=1/2
# make docs    the documentation as a site, into build/site, with pictures of real runs
# make faults  faults planted in models, pages and inputs, and how many are found, into docs/faults.md; SHARD=1/2
# make calibrate  clean computation held to the bound and to the expectation, into docs/bounds.md and docs/calibration.md
# make wheel   dist/bittrue-*.whl and the source distribution
# make npm     dist/bittrue-*.tgz, the package for browsers, Node and Deno
# make lock    the requirement files and package-lock.json anew, to the newest versions
# make clean   removes everything that the above have made, .venv included
#
# All set-up is scripts/setup.py; where there is no make: python scripts/setup.py, then the commands below.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench prove keras2 applications conformance calibrate bits docs wheel npm lock clean

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

# The first Python that the pinned TensorFlow supports.
FIND_PYTHON = for candidate in $(BIN)/python python3 python3.13 python3.12 python3.11 python; do \
	"$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo "$$candidate"; exit 0; }; done; \
	echo "no Python 3.11, 3.12 or 3.13 was found: install one, then run make again" >&2; exit 1
SETUP = python=$$($(FIND_PYTHON)) && "$$python" scripts/setup.py

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup:
	@$(SETUP)

demo: setup
	@$(BIN)/bittrue demo $(ARGS)

test: setup
	@$(BIN)/python scripts/check.py --all

check:
	@$(SETUP) venv packages bittrue node tfjs kernels
	@$(BIN)/python scripts/check.py

bench:
	@$(SETUP) && "$$python" scripts/setup.py bench bench-npm
	@$(BIN)/python benchmarks/run.py $(ARGS)

applications: setup
	@$(BIN)/python scripts/applications.py $(ARGS)

keras2:
	@$(SETUP) venv packages bittrue
	@$(BIN)/python scripts/keras2.py $(ARGS)

conformance: setup
	@$(BIN)/python scripts/conformance.py --shard $(or $(SHARD),1/1) --write $(ARGS)

calibrate: setup
	@$(BIN)/python benchmarks/bound_campaign.py 100 --real 1 --write
	@$(BIN)/python -m benchmarks.clean_tensors --seeds final --shard $(or $(SHARD),1/1) --write $(ARGS)

prove:
	@$(SETUP) venv packages bittrue kernels
	@$(BIN)/python scripts/prove_exact.py --report docs/proof.md $(ARGS)

bits: setup
	@$(BIN)/python scripts/bits.py --shard $(or $(SHARD),1/1) $(ARGS)

docs: export NO_MKDOCS_2_WARNING = 1
docs: setup
	@$(BIN)/python scripts/setup.py docs
	@$(BIN)/python scripts/screenshots.py $(ARGS)
	@$(BIN)/python -m mkdocs build --quiet --strict

faults: setup
	@$(BIN)/python -m benchmarks.faults --seeds final --shard $(or $(SHARD),1/1) --write $(ARGS)

wheel:
	@$(SETUP) venv packages bittrue node tfjs kernels
	@$(BIN)/python -m build --no-isolation

npm:
	@$(SETUP) venv packages bittrue node kernels
	@$(BIN)/python scripts/npm_package.py --pack

lock:
	@$(SETUP) venv packages
	@$(BIN)/python scripts/lock.py

clean:
	rm -rf .venv node_modules requirements/npm/*/node_modules build dist bittrue-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache src/bittrue/_vendor src/bittrue/_kernels js/dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
