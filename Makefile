# Wattcast: `make` lists the targets. Needs Python 3.11+ and Java 17+; everything else goes into .venv.
SHELL := /bin/bash
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)
BIN := .venv/bin
STAMP := .venv/installed
BUILD_TOOL := $(shell sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml)
# torch is locked apart: its builds (CUDA, CPU, macOS) share a version but no checksum, and the CUDA build brings these:
WITH_TORCH := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
	nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
	nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
COMPILE := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	--no-emit-index-url $(addprefix --no-emit-package ,$(WITH_TORCH))
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install

.DEFAULT_GOAL := help
.PHONY: help install demo check test chaos test-k8s image lint docs dist lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

install: $(STAMP)  ## put Wattcast, all it needs at locked versions, and its Java jars in place
	@$(BIN)/wattcast jars

$(STAMP): requirements.lock requirements-dev.lock torch.lock pyproject.toml
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Wattcast needs Python 3.11 or newer and $(or $(PYTHON),PATH) is or has none: install one (python.org, apt," \
		"brew, pyenv) and name it, for example 'make install PYTHON=/path/to/python3.11'." >&2; exit 1; }
	@$(PYTHON) lib/wattcast/embedded/preflight.py
	@echo "Installing into .venv (once; 1 GB to download, with the CUDA build of torch 4 GB)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { echo "This Python cannot make virtual environments: install its venv module" \
		"(Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(PIP) --require-hashes --no-deps -r requirements.lock -r requirements-dev.lock
	@$(PIP) -r torch.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

demo: install  ## readings in, forecasts out, on this machine: a real broker, Spark, Delta tables, forecasts from Kafka
	@$(BIN)/wattcast demo

check: lint  ## what must pass before each commit: lint, and the tests without Spark, Kafka, browsers and trainings
	@$(BIN)/pytest --numprocesses=2 --dist=loadfile -m "not slow and not cluster"

test: install  ## all tests
	@$(BIN)/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder --durations=25

chaos: install  ## five minutes of killed processes and lost checkpoints, then the proof that no row is lost; options in CHAOS
	@$(BIN)/python -m tests.chaos $(CHAOS)

test-k8s: install  ## tests on a real Kubernetes of one node, built from source (root on Debian; Go, 20 GB of disk)
	@$(BIN)/python -m tests.k8s.cluster build
	@$(BIN)/pytest -m cluster tests/k8s --durations=25

image: install  ## the image for Kubernetes, and what it is made of (CycloneDX) in dist/; needs docker, podman or buildah
	@$(BIN)/python k8s/image.py

lint: install  ## style, types, which module may import which, and contracts against their released versions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m wattcast.contract_compatibility

docs: install  ## the documentation site, into site/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

dist: $(STAMP)  ## the wheel and the source archive, into dist/
	@$(BIN)/python -m hatchling build --clean -d dist

lock: $(STAMP)  ## update the lock files (needs uv: https://docs.astral.sh/uv)
	@{ echo "# Made by 'make lock': what runs Wattcast, and the build tool of pyproject.toml; without torch and what its CUDA build"; \
		echo "# needs (torch.lock)."; \
		echo "$(BUILD_TOOL) editables" | tr ' ' '\n' | $(COMPILE) pyproject.toml -; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@# What requirements.lock has for Windows alone is needed here on every platform (colorama of mkdocs-material).
	@{ echo "# Made by 'make lock': what tests and checks need beyond requirements.lock."; \
		$(COMPILE) --extra dev --constraint requirements.lock \
			$$(sed -n "/; sys_platform == 'win32'/!s/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p" requirements.lock) pyproject.toml; } > requirements-dev.lock.new
	@mv requirements-dev.lock.new requirements-dev.lock
	@{ echo "# Made by 'make lock'. No checksum: PyPI's build and the CPU build of one version differ. pip takes a CPU build if"; \
		echo "# PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL names a place that has one."; \
		sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml; } > torch.lock
	@$(BIN)/python -m wattcast.embedded.jars

clean:  ## remove .venv and what tests and tools leave; .wattcast (your data) stays
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache spark-warehouse metastore_db derby.log
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
