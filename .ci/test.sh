#!/bin/sh
# Everything that must hold before a change lands, in the order in which it fails fastest.
set -eu
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$1"; }

step "formatting"
cargo fmt --all --check
step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
step "licences, bans, sources"
sh .ci/deny.sh
step "unit, property and model tests"
cargo test --workspace --lib --bins --locked
step "documentation examples"
cargo test --workspace --doc --locked
step "real processes"
# One at a time: each test starts a cluster of its own and this may be a two-core machine.
cargo test --workspace --locked --test '*' -- --test-threads=1
