#!/bin/sh
# Makes the virtual environment of the AWS emulator in target/emulator, if what it is made from changed.
# Prints the interpreter's path. On a person's machine without Python or without a package index it says so and
# prints nothing; in CI it fails.
set -eu
cd "$(dirname "$0")/.."
folder=target/emulator
requirements=kvctl/tests/aws/emulator/requirements.txt

give_up() {
    echo "LEFT OUT: tests against the AWS emulator: $1" >&2
    if [ "${CI:-}" = true ]; then
        exit 1
    fi
    exit 0
}

wanted=$(cksum <"$requirements")
if [ -x "$folder/venv/bin/python" ] && [ "$(cat "$folder/made-from" 2>/dev/null)" = "$wanted" ]; then
    echo "$folder/venv/bin/python"
    exit 0
fi
python=
for candidate in python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || give_up "Python 3.11 or newer with venv is missing (get it: apt install python3 python3-venv)"
rm -rf "$folder"
mkdir -p "$folder"
"$python" -m venv "$folder/venv" >&2
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$requirements" >&2 ||
    give_up "its packages cannot be installed (see above)"
"$folder/venv/bin/python" -m pip check >&2 || give_up "its packages do not fit together (see above)"
echo "$wanted" >"$folder/made-from"
echo "$folder/venv/bin/python"
