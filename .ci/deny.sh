#!/bin/sh
# Licences, bans and sources of every dependency. Installs cargo-deny in CI; on a person's machine says how to.
set -eu
if ! cargo deny --version >/dev/null 2>&1; then
    if [ "${CI:-}" = true ]; then
        cargo install cargo-deny --locked
    else
        echo "LEFT OUT: licence and ban checks (cargo-deny is not installed; get it: cargo install cargo-deny --locked)" >&2
        exit 0
    fi
fi
# The advisory database is not fetched here: builds must not depend on a download that changes from day to day.
cargo deny --all-features check bans licenses sources
