# Thin: each target is one line a person could type. `up` and `test` are the two that README names.
CARGO ?= cargo
KVCTL := target/release/kvctl

.PHONY: up down status test verify fix bench build aws

up: build ## build and start a three-zone cluster on this machine
	$(KVCTL) cluster up

down: ## stop it; data stays
	$(KVCTL) cluster down

status: ## how it does
	$(KVCTL) cluster status

build: ## kvnode and kvctl for this machine; no AWS SDK is compiled
	$(CARGO) build --release --locked --no-default-features --bins -p kvctl -p kvnode

aws: ## the same with `kvctl --provider aws`; the SDK takes minutes and some GB of memory to compile
	$(CARGO) build --release --locked --bins

test: ## everything: formatting, lints, licences, unit, property and model tests, real clusters, AWS emulated, machines
	sh .ci/test.sh

verify: ## what needs no cluster and writes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	sh .ci/deny.sh

fix: ## rewrite what can be rewritten: formatting, generated files
	$(CARGO) fmt --all
	KVSTORE_REGENERATE=1 $(CARGO) test -p kvnode --lib --locked openapi

bench: build ## puts and gets of 1 KiB at 1, 16 and 64 connections on a cluster of its own
	sh .ci/bench.sh
