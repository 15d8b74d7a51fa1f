# Two commands on a fresh machine that has python3 (3.11 or newer), pip and make:
#   make run     starts the broker            make test    runs everything that a change must pass
# The environment is .venv; it is made once and again only when constraints.txt or pyproject.toml change.

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.PHONY: help env run demo test check lint types imports unit rest bench soak crash fuzz image-check format lock clean

BIN := .venv/bin
# virtualenv and what it needs, out of the lock; only where python3 comes without its venv module.
BOOT := virtualenv|distlib|filelock|packaging|platformdirs|python-discovery|typing-extensions
# Folders of code that exist in this checkout.
CODE := $(sort $(patsubst %/,%,$(dir $(wildcard ophl7/*.py handlers/*.py plugins/*.py))) tests)
# Rooms without input or output: their own tests must see nearly every branch. A room is measured once it has tests of its own.
empty :=
comma := ,
DECIDING := $(wildcard $(addprefix ophl7/engine/,answers.py authority.py backoff.py lifecycle.py router.py))
PURE_FILES := ophl7/hl7v2/* ophl7/mllp/framing.py ophl7/units.py ophl7/settings.py $(if $(wildcard tests/unit/domain),ophl7/domain/*) \
	$(if $(wildcard tests/unit/engine),$(DECIDING))
PURE := $(subst $(empty) $(empty),$(comma),$(strip $(PURE_FILES)))
PURE_MIN := 95
# Fast rooms are measured; whatever opens sockets, builds wheels or kills processes runs without a tracer.
FAST := $(wildcard tests/unit tests/property tests/typing)
NOT_FAST := $(addprefix --ignore=,$(FAST))

help:
	@echo "make run      start the broker on the defaults (OPHL7_* in the environment change them)"
	@echo "make demo     see it work: a simulated PM and EMR play a practice's day"
	@echo "make test     lint, types, import rules, the whole test suite"
	@echo "make bench    measure throughput and latency"
	@echo "make soak     a million messages at a steady rate: what grows, what slows down (SOAK_MESSAGES)"
	@echo "make crash    kill the broker at full length and look for loss"
	@echo "make fuzz     change inputs for half an hour a target and look for what breaks a promise"
	@echo "make image-check  build the container image and run it (needs root, podman, buildah, debootstrap)"
	@echo "make format   format the code        make lock   refresh constraints.txt        make clean"

# What is installed is told by .venv/ready: digest of both files, and where the checkout lies (scripts carry that path).
env:
	@want="$$(cat constraints.txt pyproject.toml | cksum) $$(pwd)"; \
	if [ -x $(BIN)/python ] && [ "$$(cat .venv/ready 2>/dev/null || true)" = "$$want" ]; then exit 0; fi; \
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ophl7 needs python3 3.11 or newer, this is $$(python3 -V)" >&2; exit 2; }; \
	rm -f .venv/ready; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "Making the environment in .venv ..." >&2; \
		python3 -m venv --clear .venv >/dev/null 2>&1 || { \
			echo "python3 has no venv module here; using virtualenv instead" >&2; \
			rm -rf .venv .boot; mkdir .boot; \
			awk '/^[a-z]/ { keep = /^($(BOOT))==/ } keep' constraints.txt > .boot/requirements.txt; \
			python3 -m pip install --quiet --disable-pip-version-check --require-hashes --target .boot --requirement .boot/requirements.txt; \
			PYTHONPATH=.boot python3 -m virtualenv --quiet .venv; \
		}; \
	fi; \
	echo "Installing the locked dependencies ..." >&2; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement constraints.txt; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	echo "$$want" > .venv/ready

run: env
	@exec $(BIN)/ophl7 serve

demo: env
	@exec $(BIN)/ophl7 demo

test: lint types imports unit rest
	@echo "All checks passed."

check: test

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/mypy $(CODE)

imports: env
	$(BIN)/lint-imports

unit: env
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 -q $(FAST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='$(PURE)' --fail-under=$(PURE_MIN)

rest: env
	$(BIN)/python -m pytest -n 2 -q tests $(NOT_FAST)

bench: env
	$(BIN)/python -m tests.benchmarks $(BENCH)

soak: env
	$(BIN)/python -m tests.soak $(SOAK)

crash: env
	CRASH_LENGTH=full $(if $(ROUNDS),CRASH_ROUNDS=$(ROUNDS)) $(if $(SEED),CRASH_SEED=$(SEED)) $(if $(SECONDS),CRASH_SECONDS=$(SECONDS)) $(BIN)/python -m pytest -q -p no:randomly --timeout=5400 tests/crash tests/durability

# The fuzzer has wheels for some Pythons only and nobody else needs it: a lock of its own, installed here and nowhere else.
# FUZZ_SECONDS a target, FUZZ_TARGETS, FUZZ_JOBS at once, FUZZ_FOLDER: docs/explanation/fuzzing.md.
fuzz: env
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement constraints-fuzz.txt \
		|| { echo "The fuzzer (atheris) has no wheel for $$($(BIN)/python -V) on this machine; run make fuzz with another python3." >&2; exit 2; }
	@FUZZ_SECONDS="$(FUZZ_SECONDS)" FUZZ_TARGETS="$(FUZZ_TARGETS)" FUZZ_JOBS="$(FUZZ_JOBS)" FUZZ_FOLDER="$(FUZZ_FOLDER)" \
		$(BIN)/python -m tests.fuzz

# Where these tools are missing it says what to install, and ends with 2; `make test` says that it skipped this.
image-check: env
	@$(BIN)/python -m tests.packaging.image.base
	IMAGE_CHECK=full $(BIN)/python -m pytest -q -p no:randomly tests/packaging/image

format: env
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# For maintainers: names, versions, hashes and markers only; no address of any index may get in.
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv (python3 -m pip install uv)" >&2; exit 2; }
	uv pip compile --quiet --universal --group dev --all-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml -o constraints.txt
	uv pip compile --quiet --universal --group fuzz --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o constraints-fuzz.txt
	@! grep -n '://' constraints.txt constraints-fuzz.txt

clean:
	rm -rf .venv .boot build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
