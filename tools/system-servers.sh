#!/bin/sh
# Install the programs that tests talk to and this machine lacks, through its package manager.
# One line each: the commands that will do, then the packages that bring one.
set -eu

# Debian puts servers where the path of a plain user may not lead, and PostgreSQL by its version.
PATH=$PATH:/usr/sbin:/sbin
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done

wanted='
chromium-headless-shell chromium chromium-browser google-chrome:chromium-headless-shell
node:nodejs
npm:npm
faketime:faketime
bearerbox:kannel
baresip:baresip-core
osmo-msc:osmo-msc
osmo-hlr:osmo-hlr
osmo-stp:osmo-stp
sipp:sip-tester
kamailio:kamailio kamailio-tls-modules
dnsmasq:dnsmasq-base
tshark:tshark
initdb:postgresql
espeak-ng:espeak-ng
gcc:gcc libc6-dev
haproxy:haproxy
promtool:prometheus
patroni:patroni
etcd:etcd-server
ip:iproute2
nft:nftables
valkey-server redis-server:redis-server
systemd-analyze:systemd
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
# Pages are looked at in thirteen languages: where boxes stand for letters, nobody sees whether words fit.
fc-list :lang=ml family 2>/dev/null | grep -q . || missing="$missing fontconfig fonts-noto-core"
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
# Tests start what they need themselves. No package may start its server now, or when the machine starts.
keep_quiet=
if [ ! -e /usr/sbin/policy-rc.d ]; then
    keep_quiet=/usr/sbin/policy-rc.d
    # shellcheck disable=SC2064 - the value of now is meant
    trap "$as_root rm -f $keep_quiet" EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$keep_quiet" >/dev/null
    $as_root chmod 755 "$keep_quiet"
fi
# shellcheck disable=SC2086 - words are meant to be split
if ! { $apt update && $apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    complain "apt-get could not install: $missing"
fi
rm -f "$log"
if command -v systemctl >/dev/null; then
    for service in kannel kamailio osmo-msc osmo-hlr osmo-stp haproxy prometheus postgresql patroni etcd redis-server; do
        case " $missing " in *" $service"*) $as_root systemctl disable --quiet "$service" 2>/dev/null || true ;; esac
    done
fi
