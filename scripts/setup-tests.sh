#!/usr/bin/env bash
# Brings what the tests need beyond Python: node, Chromium, strace, faketime, coturn, ip and iptables, a Docker engine with Redis's image.
# Changes nothing where it is there already; names what it cannot get, and fails.
#   setup-tests.sh            all of it
#   setup-tests.sh node       only node (for lint and the quick tests)
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'setup: cannot go on: %s\n' "$*" >&2
    exit 1
}

apt_install() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || die "$1 is missing; install it and come back"
    printf 'setup: installing %s with apt\n' "$1"
    apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null || die "apt-get update failed"
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1" \
        >/dev/null || die "apt could not install $1"
}

node_major() { node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/'; }

[ -n "$(node_major)" ] || apt_install nodejs
[ "$(node_major)" -ge 20 ] || die "node 20 or newer is needed for the tests of the page; here is $(node --version)"
[ "${1:-all}" = node ] && exit 0

command -v chromium google-chrome chromium-browser >/dev/null || apt_install chromium
command -v strace >/dev/null || apt_install strace
command -v faketime >/dev/null || apt_install faketime
command -v turnserver >/dev/null || apt_install coturn
if [ -z "${WITHOUT_NATLAB:-}" ]; then
    command -v ip >/dev/null || apt_install iproute2
    command -v iptables >/dev/null || apt_install iptables
fi
scripts/engine.sh
docker build --quiet --tag egoat-redis deploy/redis >/dev/null || die "the Redis image could not be built"
