#!/bin/sh
# Make the environment in which Whisper listens to the English prompts: .recogniser-venv, half a gigabyte.
set -eu

venv=.recogniser-venv
[ -x $venv/bin/python ] || tools/make-venv.sh $venv
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
    -r requirements/recogniser.txt
touch $venv/.installed
