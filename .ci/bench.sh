#!/bin/sh
# Puts and gets of 1 KiB at 1, 16 and 64 connections through a fresh three-node cluster, which is removed afterwards.
# Figures mean something on an otherwise idle machine only.
set -eu
cd "$(dirname "$0")/.."
kvctl=$PWD/target/release/kvctl
KVCTL_STATE_DIR=$(mktemp -d)
export KVCTL_STATE_DIR
trap '"$kvctl" cluster down --delete-data --yes --quiet || true; rm -rf "$KVCTL_STATE_DIR"' EXIT
"$kvctl" cluster up
"$kvctl" bench --mix put --fail-on-errors "$@"
"$kvctl" bench --mix get --fail-on-errors "$@"
"$kvctl" bench --mix mixed:50 --distribution zipfian --connections 64 --fail-on-errors "$@"
