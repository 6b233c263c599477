#!/bin/sh
# Everything that must hold before a change lands, in the order in which it fails fastest. What this machine lacks
# the tools for is said in a line that begins with LEFT OUT; with CI=true it is a failure.
set -eu
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$1"; }

step "formatting"
cargo fmt --all --check
step "licences, bans, sources"
sh .ci/deny.sh
step "lints without the AWS SDK, which is what \`make up\` builds"
cargo clippy --locked --no-default-features --bins -p kvctl -p kvnode -- -D warnings
cargo clippy --locked --no-default-features --all-targets -p infra -- -D warnings
step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
# All that follows is built with the same features, so that the SDK is compiled once.
step "unit, property and model tests"
cargo test --workspace --lib --bins --locked
step "documentation examples"
cargo test --workspace --doc --locked
step "real processes"
# One at a time: each test starts a cluster of its own and this may be a two-core machine.
cargo test --workspace --locked --test it -- --test-threads=1
step "kvctl on an emulated AWS"
sh .ci/aws.sh
step "user data, executed on throw-away machines"
sh .ci/hosts.sh
cargo test --workspace --locked --test machine
