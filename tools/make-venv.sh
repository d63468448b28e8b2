#!/bin/sh
# Make a virtual environment with the first Python on this machine that is new enough.
# The system's own comes first: distributions build it with profile-guided optimization, which a Python that was
# compiled at home mostly lacks, and without which it takes up to twice as long.
set -eu

system="/usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 /usr/bin/python3.14"
for python in ${PYTHON:-$system python3.11 python3.12 python3.13 python3.14 python3}; do
    # Debian has the half of `venv` that brings pip in a package of its own.
    if "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Making $1 with $("$python" --version)"
        # Half an environment would look like a whole one to the next run.
        "$python" -m venv "$1" || { rm -rf "$1"; exit 1; }
        exit 0
    fi
done
echo "Python 3.11 or newer is needed, with venv and ensurepip (Debian: apt install python3-venv);" >&2
echo "name yours with: make PYTHON=/path/to/python" >&2
exit 1
