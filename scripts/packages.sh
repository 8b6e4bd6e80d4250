# shellcheck shell=bash
# Supplies the programs that a script needs: through apt if it may, else by the one command to type.

readonly oldest_cargo=1.85 newer_cargo=1.88

# missing PROGRAM:PACKAGE...: the packages of the programs that are not there.
missing() {
    local need
    for need; do
        has "${need%%:*}" || printf '%s\n' "${need##*:}"
    done | sort -u
}

# supply PACKAGE...: installs them, with apt_options if there are any, or says how and fails.
apt_options=()
supply() {
    (($#)) || return 0
    if [[ $EUID != 0 ]]; then
        printf 'to type: sudo apt-get install %s\n' "$*"
        return 1
    elif ! has apt-get; then
        printf 'missing, and there is no apt-get here: %s\n' "$*"
        return 1
    fi
    printf 'installing: %s\n' "$*"
    # The lists of a fresh machine are empty or old. What apt says is of interest only when it fails.
    local said
    export DEBIAN_FRONTEND=noninteractive
    # apt's lock may be another's, who will be done with it: a script that runs beside this one, or the machine's own.
    local wait=(-o DPkg::Lock::Timeout=300)
    if ! said=$({ apt-get "${wait[@]}" update &&
        apt-get "${wait[@]}" install --yes --no-install-recommends "${apt_options[@]}" "$@"; } 2>&1); then
        tail -n 5 <<<"$said"
        printf 'failed: apt-get install %s\n' "$*"
        return 1
    fi
}

# Whether cargo is there, and new enough.
has_cargo() {
    has cargo && is_new_enough "$(cargo --version)" "$oldest_cargo"
}

# The same for ns-map-live, which ratatui is in.
has_newer_cargo() {
    has cargo && is_new_enough "$(cargo --version)" "$newer_cargo"
}

# is_new_enough 'cargo 1.95.0 (…)' OLDEST
is_new_enough() {
    local version
    read -r _ version _ <<<"$1"
    printf '%s\n' "$2" "$version" | sort -CV
}

# The options by which cargo takes all packages that it can build, a line each.
whole_workspace() {
    printf '%s\n' --workspace
    has_newer_cargo || printf '%s\n' --exclude ns-map-live
}

# Whether cargo could not tell with whom it speaks: nothing that it depends on brings the certificates along.
lacks_certificates() {
    has apt-get && [[ ! -e ${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt} ]]
}

# supply_cargo: a cargo that can build this and fetch what it needs, from Debian; says what to do where one is in the way.
supply_cargo() {
    local packages=(cargo) certificates=()
    if lacks_certificates; then
        certificates=(ca-certificates)
    fi
    if has_cargo; then
        supply "${certificates[@]}"
        return
    fi
    # Debian 12's own is 0.66; what builds its browsers is newer, and excludes it.
    if [[ -e /etc/os-release ]] && (
        . /etc/os-release
        [[ ${VERSION_CODENAME:-} == bookworm ]]
    ); then
        packages=(cargo-web rustc-web)
    fi
    if has rustup; then
        printf '%s is too old, or has no toolchain; to type: rustup update stable\n' "$(cargo --version 2>&1 | head -n 1)"
        return 1
    fi
    if has cargo && [[ ${packages[0]} == cargo ]]; then
        printf '%s is too old; needed is %s: install it by rustup\n' "$(cargo --version)" "$oldest_cargo"
        return 1
    fi
    supply "${packages[@]}" "${certificates[@]}"
}
