#!/bin/sh
# Make a virtual environment with the first Python on this machine that is new enough.
set -eu

for python in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Making $1 with $("$python" --version)"
        # Half an environment would look like a whole one to the next run.
        "$python" -m venv "$1" || { rm -rf "$1"; echo "python3-venv (or ensurepip) is missing" >&2; exit 1; }
        exit 0
    fi
done
echo "Python 3.11 or newer is needed; name yours with: make PYTHON=/path/to/python" >&2
exit 1
