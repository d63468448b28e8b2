#!/bin/sh
# Write requirements/*.txt again from pyproject.toml: every package, its version and the hashes of its files.
# The tests' list is held to the versions of the run list, so that what is tested is what is run.
# Write them with the oldest Python that is served: some packages want more of it (redis before 3.11.3).
set -eu

venv=.lock-venv
[ -x $venv/bin/pip-compile ] || { tools/make-venv.sh $venv && $venv/bin/pip install --quiet pip-tools==7.6.2; }

compile() {
    CUSTOM_COMPILE_COMMAND="make lock" $venv/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
        --allow-unsafe --build-deps-for editable \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@" pyproject.toml
}
compile --output-file requirements/run.txt
compile --extra dev --constraint requirements/run.txt --output-file requirements/dev.txt
# What the image runs on: as above, with the clients of PostgreSQL and Valkey.
compile --extra postgres --extra valkey --constraint requirements/dev.txt --output-file requirements/postgres.txt
# Two environments of their own, so that nobody needs their hundreds of megabytes to run a test.
compile --extra prompts --constraint requirements/run.txt --output-file requirements/prompts.txt
compile --extra recogniser --constraint requirements/run.txt --output-file requirements/recogniser.txt
