# Everything that developers and CI run. `make` alone lists it.
# Each target looks first for what it needs and says what to install.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

CARGO ?= cargo
PYTHON ?= python3
# Seconds for each fuzz target, and for the soak.
FUZZ_SECONDS ?= 30
SOAK_SECONDS ?= 600
# Options of `make demo`, such as `--listen 127.0.0.1:8088 --admin 127.0.0.1:9902`.
DEMO ?=
# `off` builds the release without a profile of its job, in a third of the time.
PGO ?= on
# `write` takes the instruction counts of now as the budget.
BUDGET ?=
# The comparison: which peers and scenarios (names with commas; without it all that are installed, and all), rounds, and further
# options of `benches/compare/run`, such as `--boost` or `--secs 2`.
BENCH_PEERS ?=
BENCH_SCENARIOS ?=
BENCH_ROUNDS ?= 5
BENCH_OPTIONS ?=

.PHONY: help
help: ## this list
	@echo "Tollgate. Targets:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: need-rust
need-rust:
	@missing=0; \
	if ! command -v $(CARGO) >/dev/null 2>&1; then \
	  echo "cargo is missing. Install Rust from https://rustup.rs/ (the version is in rust-toolchain.toml)." >&2; missing=1; \
	fi; \
	if ! command -v cc >/dev/null 2>&1 && ! command -v gcc >/dev/null 2>&1 && ! command -v clang >/dev/null 2>&1; then \
	  echo "A C compiler is missing (for the cryptography and the allocator). Debian: apt-get install build-essential;" \
	       "Fedora: dnf install gcc make; macOS: xcode-select --install." >&2; missing=1; \
	fi; \
	exit $$missing

.PHONY: demo
demo: need-rust ## the gateway with two regional backends, a token for two customers, curl lines; DEMO="--listen …" for another port
	@echo "$(CARGO) build --locked   (the first time takes some minutes)"; $(CARGO) build --locked
	@$(CARGO) run --quiet --locked -- demo $(DEMO)

.PHONY: setup
setup: ## install what the tests need beside Rust: nginx, haproxy, nghttp2, wrk, promtool, curl, a Python venv under target/
	@PYTHON="$(PYTHON)" tests/setup/install

.PHONY: fmt
fmt: need-rust ## format the sources
	@$(CARGO) fmt

.PHONY: check
check: need-rust ## formatting, lints, floors; no servers needed
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) test --quiet --locked --test layering

.PHONY: test
test: need-rust setup ## everything: formatting, lints, all tests; installs what is missing and says so
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  echo "$(CARGO) nextest run --locked"; $(CARGO) nextest run --locked --no-fail-fast; \
	else \
	  echo "$(CARGO) test --locked   (cargo-nextest would be faster: cargo install --locked cargo-nextest)"; \
	  $(CARGO) test --locked --no-fail-fast --lib --bins --tests --examples; \
	fi
	$(CARGO) test --quiet --locked --doc

.PHONY: requirements
requirements: need-rust setup ## docs/requirements.md anew: what the front doors have to do, the tests that show it, what became of them
	@$(CARGO) nextest --version >/dev/null 2>&1 || { echo "cargo-nextest is missing: cargo install --locked cargo-nextest" >&2; exit 1; }
	@# A test that fails stands in the page as failed, which the next line then refuses.
	-$(CARGO) nextest run --locked --no-fail-fast -E 'not binary(requirements)'
	REQUIREMENTS=write $(CARGO) test --quiet --locked --test requirements

.PHONY: fuzz-smoke
fuzz-smoke: need-rust ## each fuzz target for FUZZ_SECONDS (30); without cargo-fuzz the property tests, longer
	@CARGO="$(CARGO)" fuzz/smoke $(FUZZ_SECONDS)

.PHONY: soak
soak: need-rust budget ## the slow suites: budget, properties, kills, sign-ins, then SOAK_SECONDS (600) of load with reloads
	PROPTEST_CASES=20000 $(CARGO) test --locked --lib --test http_properties --test limits_items --test limits_table
	TOLLGATE_CRASH_ROUNDS=200 $(CARGO) test --locked --test store_sqlite crash -- --nocapture
	TOLLGATE_CRASH_ROUNDS=200 $(CARGO) test --locked --test it killed -- --nocapture
	$(CARGO) build --release --locked
	@TOLLGATE=target/release/tollgate benches/sign-in
	@TOLLGATE=target/release/tollgate benches/soak $(SOAK_SECONDS)

.PHONY: bench
bench: need-rust ## Tollgate beside other proxies and beside itself grown large; writes docs/performance.md anew. Takes an hour or so
	@$(PYTHON) benches/compare/run tools
	$(CARGO) build --release --locked --example open-load
	@$(MAKE) --no-print-directory release
	$(PYTHON) benches/compare/run --rounds $(BENCH_ROUNDS) $(if $(BENCH_PEERS),--peers $(BENCH_PEERS)) \
	  $(if $(BENCH_SCENARIOS),--scenarios $(BENCH_SCENARIOS)) $(BENCH_OPTIONS) --json target/bench/compare.json
	$(PYTHON) benches/compare/run report target/bench/compare.json --into docs/performance.md

.PHONY: bench-micro
bench-micro: need-rust ## micro benches: what the parts take
	$(CARGO) bench --locked

.PHONY: bench-smoke
bench-smoke: need-rust ## each micro bench once, without optimisation: they run, no more
	$(CARGO) test --quiet --locked --bench '*'

.PHONY: budget
budget: need-rust ## instructions of a call, held to benches/budget.txt; builds for some minutes. BUDGET=write writes it anew
	@command -v valgrind >/dev/null 2>&1 || { echo "valgrind is missing. Debian: apt-get install valgrind" >&2; exit 1; }
	BUDGET="$(BUDGET)" $(CARGO) test --locked --test instruction_budget -- --ignored --nocapture

.PHONY: release
release: need-rust ## the optimised binary, target/release/tollgate, by a profile of its job where the tools are there; PGO=off without
	@CARGO="$(CARGO)" PGO="$(PGO)" benches/pgo/build
	@ls -l target/release/tollgate | awk '{printf "target/release/tollgate, %.1f MiB\n", $$5 / 1048576}'

.PHONY: deny
deny: need-rust ## licences, banned and doubled crates (deny.toml)
	@tests/setup/deny "$(CARGO)"
