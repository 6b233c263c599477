#!/bin/sh
# kvctl against the AWS emulator, in a network of its own with nothing but loopback: whatever a test or kvctl does
# wrong, nothing can reach the real AWS. Arguments go to the test program, for example: sh .ci/aws.sh conformance
# KVCTL_SWEEP=all tries every call index in the kill sweeps instead of a sample, KVCTL_SEEDS=N so many mixtures.
set -eu
cd "$(dirname "$0")/.."

python=$(sh .ci/emulator.sh)
[ -n "$python" ] || exit 0
python=$PWD/$python
cargo test --workspace --locked --test aws --no-run
program=$(cargo test --workspace --locked --test aws --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/aws-[^"]*\)".*/\1/p' | tail -n 1)
[ -n "$program" ] || { echo "the test program is not where it should be" >&2; exit 1; }

# Root may take the network away directly; others first become root of a user namespace of their own.
alone="unshare --net"
[ "$(id -u)" = 0 ] || alone="unshare --map-root-user --net"
if ! $alone true 2>/dev/null; then
    echo "LEFT OUT: tests against the AWS emulator: no network namespace can be made here ($alone)" >&2
    [ "${CI:-}" != true ]
    exit
fi
exec $alone "$python" -B .ci/loopback.py "$program" "$@"
