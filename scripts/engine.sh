#!/usr/bin/env bash
# Makes sure that a Docker engine, Compose v2, buildx and the base image are here, and changes
# nothing when they are. It never stops an engine, removes an image, or edits the machine's own
# package sources.
#
# With Docker installed this takes a second and needs no root. On a bare Debian 12 machine it
# needs root once: it installs the engine, starts it, fetches the two plugins (Debian 12 has none)
# and, where no image registry can be reached, makes the base image with debootstrap.
set -euo pipefail

BASE=${BASE:-python:3.11-slim-bookworm}
LOG=${ENGINE_LOG:-/var/log/egoat-dockerd.log}
PLUGINS=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
MACHINE_CERTS=/etc/ssl/certs/ca-certificates.crt
EXTRA_CERTS=/usr/local/share/ca-certificates
LABEL=egoat.base.certificates

say() { printf 'engine: %s\n' "$*"; }
die() {
    printf 'engine: cannot go on: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# The deadline is left out where the machine has no `timeout` (macOS).
within() {
    local seconds=$1
    shift
    if have timeout; then timeout "$seconds" "$@"; else "$@"; fi
}

answers() { have docker && within 20 docker info >/dev/null 2>&1; }
has_plugins() { docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }
on_bookworm() { [ -r /etc/os-release ] && grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; }

# --- packages ------------------------------------------------------------------------------------

apt_retrying() {
    local try
    for try in 1 2 3 4 5; do
        if DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$WORK/apt.log" 2>&1; then
            return 0
        fi
        [ "$try" -eq 5 ] || sleep 5 # another apt may hold a lock that has no time-out of its own
    done
    tail -n 5 "$WORK/apt.log" >&2
    return 1
}

install_missing() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]} with apt"
    apt_retrying update || die "apt-get update failed"
    apt_retrying install -y --no-install-recommends "${missing[@]}" || die "apt could not install ${missing[*]}"
}

# Address of this machine's own mirror of the Debian 12 main archive, as apt knows it.
debian_mirror() {
    apt-get indextargets --format "\$(COMPONENT) \$(CODENAME) \$(ORIGIN) \$(REPO_URI)" 'Created-By: Packages' |
        awk '$1 == "main" && $2 == "bookworm" && $3 == "Debian" { print $4; exit }'
}

# --- 1. the engine -------------------------------------------------------------------------------

start_engine() {
    if [ -d /run/systemd/system ]; then
        say "starting the engine (systemd)"
        systemctl start docker || die "systemctl start docker failed; see: journalctl -u docker"
    elif ! pgrep -x dockerd >/dev/null 2>&1; then
        say "starting the engine in the background; its log is $LOG"
        rm -f /var/run/docker.pid # left by an engine that was killed; none is running now
        setsid nohup dockerd >>"$LOG" 2>&1 </dev/null 9>&- &
    fi
    local waited=0
    until answers; do
        waited=$((waited + 1))
        [ "$waited" -le 60 ] || die "dockerd does not answer after 60 s; see $LOG"
        sleep 1
    done
}

need_engine() {
    answers && return 0
    [ -z "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is $DOCKER_HOST and no engine answers there"
    if have docker && { docker info 2>&1 || true; } | grep -i 'permission denied' >/dev/null; then
        die "an engine runs but this user may not talk to it; join the docker group or run as root"
    fi
    is_root || die "no Docker engine answers; start or install Docker, or run this script as root on Debian 12"
    if ! have dockerd; then
        on_bookworm || die "no Docker engine answers; install Docker (this script can do that on Debian 12 only)"
        install_missing docker.io iptables
    fi
    start_engine
    say "engine $(docker version --format '{{.Server.Version}}') answers"
}

# --- 2. Compose v2 and buildx --------------------------------------------------------------------

# Debian 13 has both as plugins that also run on Debian 12. They are unpacked, not installed.
need_plugins() {
    has_plugins && return 0
    on_bookworm || die "docker compose (v2) or docker buildx is missing; install these two plugins"
    local mirror box=$WORK/trixie name
    mirror=$(debian_mirror)
    if [ -z "$mirror" ] && is_root; then
        apt_retrying update || die "apt-get update failed"
        mirror=$(debian_mirror)
    fi
    [ -n "$mirror" ] || die "apt knows no mirror of Debian 12; docker compose (v2) and buildx must be installed by hand"
    say "fetching docker compose and buildx from Debian 13 into $PLUGINS"
    mkdir -p "$box/lists/partial" "$box/cache/archives/partial" "$box/root" "$PLUGINS"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" >"$box/trixie.list"
    local own=(-o "Dir::Etc::sourcelist=$box/trixie.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$box/lists" -o "Dir::Cache=$box/cache" -o APT::Sandbox::User=root
        -o Acquire::Languages=none)
    apt_retrying "${own[@]}" update || die "the Debian 13 package list could not be fetched"
    (cd "$box" && apt_retrying "${own[@]}" download docker-compose docker-buildx) ||
        die "docker-compose and docker-buildx could not be fetched"
    for name in "$box"/docker-*.deb; do dpkg -x "$name" "$box/root"; done
    for name in docker-compose docker-buildx; do
        install -m 755 "$box/root/usr/libexec/docker/cli-plugins/$name" "$PLUGINS/$name"
    done
    has_plugins || die "docker compose or docker buildx does not start from $PLUGINS"
    say "docker compose $(docker compose version --short) is there"
}

# --- 3. the base image ---------------------------------------------------------------------------

certificates_digest() {
    { cat "$MACHINE_CERTS" 2>/dev/null || true; } | sha256sum | cut -c 1-16
}

# A base made here carries the digest of the certificates it was made with; it is made afresh when
# the machine trusts others now. A base from a registry carries none and is always right.
has_base() {
    local digest
    digest=$(docker image inspect --format "{{ index .Config.Labels \"$LABEL\" }}" "$BASE" 2>/dev/null) || return 1
    [ -z "$digest" ] || [ "$digest" = "<no value>" ] || [ "$digest" = "$(certificates_digest)" ]
}

# Asks for the manifest first: where no registry answers this costs seconds, and where one does the
# pull itself may take as long as a slow line needs.
pull_base() {
    within 20 docker manifest inspect "$BASE" >/dev/null 2>&1 || return 1
    say "pulling $BASE"
    within 900 docker pull --quiet "$BASE" >/dev/null 2>&1
}

make_base() {
    is_root || die "$BASE is neither here nor to be pulled; run this script as root on Debian 12 to make it"
    on_bookworm || die "$BASE is neither here nor to be pulled (it can be made on Debian 12 only)"
    install_missing debootstrap
    local mirror root=$WORK/base
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || die "apt knows no mirror of Debian 12 to make $BASE from"
    say "no registry has $BASE: making it with debootstrap (about two minutes)"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip \
        bookworm "$root" "$mirror" >"$WORK/debootstrap.log" 2>&1 || {
        tail -n 5 "$WORK/debootstrap.log" >&2
        die "debootstrap failed"
    }
    dress_base "$root"
    tar -C "$root" --numeric-owner -c . | docker import \
        -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
        -c "ENV SSL_CERT_FILE=$MACHINE_CERTS PIP_CERT=$MACHINE_CERTS" \
        -c 'CMD ["python3"]' \
        -c "LABEL $LABEL=$(certificates_digest)" - "$BASE" >/dev/null
    say "$BASE is made"
}

# What the official image has too (security updates, no services started by packages), and this
# machine's certificates, without which nothing can be fetched inside a build behind a TLS proxy.
dress_base() {
    local root=$1
    [ ! -r /etc/apt/sources.list ] || cp /etc/apt/sources.list "$root/etc/apt/sources.list"
    [ ! -r /etc/apt/sources.list.d/debian.sources ] || {
        : >"$root/etc/apt/sources.list"
        cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
    }
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    if [ -d "$EXTRA_CERTS" ]; then
        mkdir -p "$root$EXTRA_CERTS"
        cp -R "$EXTRA_CERTS/." "$root$EXTRA_CERTS/"
    fi
    [ ! -r "$MACHINE_CERTS" ] || cp "$MACHINE_CERTS" "$root$MACHINE_CERTS"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/log/bootstrap.log
}

need_base() {
    has_base && return 0
    pull_base || make_base
}

# -------------------------------------------------------------------------------------------------

main() {
    if answers && has_plugins && has_base; then
        say "ready: engine, compose, buildx and $BASE are here"
        return 0
    fi
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    if have flock; then # one at a time: two callers must not install or make the same thing twice
        exec 9>"${TMPDIR:-/tmp}/egoat-engine.$(id -u).lock"
        flock -w 900 9 || die "another run of this script has held its lock for 15 minutes"
    fi
    need_engine
    need_plugins
    need_base
    say "ready: engine, compose, buildx and $BASE are here"
}

main "$@"
