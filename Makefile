# Gantry: build, try, check. `make` lists what there is.

.DEFAULT_GOAL := help
.PHONY: help build demo demo-stop tour test scenarios coverage fuzz fuzz-api lint advisories bench bench-queries

# The tools that do not come with cargo are installed where they are missing.
NEXTEST := $(shell command -v cargo-nextest)
DENY := $(shell command -v cargo-deny)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ## compile both programs into target/release
	tests/lab/packages.sh build
	cargo build --release --workspace

demo: ## a management node, a host and a VM on this machine, in one go
	tests/lab/demo up

demo-stop: ## remove every trace of the demo
	tests/lab/demo down

tour: demo ## run the README's tour against the demo
	tests/lab/tour

test: ## every test, on real hosts: installs and builds what they need
	tests/lab/packages.sh build lab demo fuzz browser
ifeq ($(NEXTEST),)
	cargo install --locked cargo-nextest
endif
	tests/lab/guest
	tests/lab/hosts build
	cargo build --workspace --bins --tests # with the features that the tests have, or all is built twice
	cargo nextest run --workspace --no-fail-fast

scenarios: ## the scenarios on lab hosts alone, then the operations that none of them called
	tests/lab/packages.sh build lab demo browser
	tests/lab/guest
	tests/lab/hosts build
	cargo build --workspace --bins --tests
	rm -f target/calls
	GANTRY_CALLS=$(CURDIR)/target/calls cargo nextest run -p gantry-tests --no-fail-fast
	cargo run --quiet --bin uncalled -- target/calls

coverage: ## what is carried out of the API's reference; writes it into the README, and the client's list of operations
	mkdir -p target
	cargo run --quiet --bin gantry-mgmt -- coverage >target/coverage.md
	cat target/coverage.md
	sed -i -e '/^<!-- coverage -->/,/^<!-- \/coverage -->/{//!d}' -e '/^<!-- coverage -->/r target/coverage.md' README.md
	cargo run --quiet --bin gantry-mgmt -- catalogue >target/operations.json
	mv target/operations.json mgmt/cli/operations.json

bench: demo bench-queries ## what Gantry costs: queries, starting a VM beside virsh, adding a host, memory
	tests/lab/bench

bench-queries: ## of these the queries alone, on 25,000 and 100,000 VMs
	cargo bench -p gantry-mgmt --bench queries

fuzz: ## ten million random requests
	GANTRY_FUZZ_INPUTS=10000000 cargo test --release -p gantry-mgmt --test fuzz

fuzz-api: ## every operation with made-up calls, held to /openapi.json: some minutes
	tests/lab/packages.sh build fuzz
	cargo build --bin gantry-mgmt
	tests/openapi/fuzz

lint: ## formatting, clippy, licences and bans, shell scripts
	tests/lab/packages.sh build lab
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
ifeq ($(DENY),)
	cargo install --debug --locked cargo-deny # optimising it takes longer than it ever saves here
endif
	cargo deny --all-features check licenses bans sources
	shellcheck .ci/run $$(awk 'FNR == 1 && /^#!.*bash/ { print FILENAME }' tests/python_environment tests/lab/* tests/openapi/*)
	shellcheck --shell=dash $$(awk 'FNR == 1 && /^#!\/bin\/sh/ { print FILENAME }' tests/lab/*)

advisories: ## known vulnerabilities of the dependencies; needs the internet
	cargo deny --all-features check advisories
