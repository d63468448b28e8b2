#!/bin/sh
# Install the programs that tests talk to and this machine lacks, through its package manager.
# One line each: the commands that will do, then the package that brings one.
set -eu

wanted='
chromium chromium-browser google-chrome:chromium
node:nodejs
npm:npm
faketime:faketime
'

complain() {
    echo "WARNING: $1" >&2
    echo "WARNING: tests that need it will be skipped" >&2
    [ "${DASTAK_CI:-}" != 1 ] || exit 1
    exit 0
}

missing=$(echo "$wanted" | while IFS=: read -r commands package; do
    for command in $commands; do
        if command -v "$command" >/dev/null; then package=; fi
    done
    if [ -n "$package" ]; then printf '%s ' "$package"; fi
done)
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || complain "missing, and there is no apt-get to install it with: $missing"
if [ "$(id -u)" = 0 ]; then as_root=
elif sudo -n true 2>/dev/null; then as_root=sudo
else complain "missing, and only root may install it: $missing"
fi

echo "Installing with apt-get: $missing"
# Another apt may be at work: wait for it rather than fail.
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120"
log=$(mktemp)
# shellcheck disable=SC2086 - words are meant to be split
if ! { $apt update && $apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    complain "apt-get could not install: $missing"
fi
rm -f "$log"
