# shellcheck shell=bash
# What the scripts share: where the project is, what its experiments are called, and how a script speaks.

set -euo pipefail

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
script=scripts/${0##*/}
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"

complain() {
    printf '%s: %s\n' "$script" "$1" >&2
}

# Ends a script that was called wrongly.
misuse() {
    complain "$1; try --help"
    exit 2
}

# The experiments: the crates that depend on `lesson`, less the driver.
experiments() {
    local manifest name
    for manifest in crates/*/Cargo.toml; do
        name=$(basename "$(dirname "$manifest")")
        if [[ $name != inception ]] && awk '
            /^\[/ { inside = $0 == "[dependencies]" }
            inside && /^lesson[ .=]/ { found = 1 }
            END { exit !found }' "$manifest"; then
            printf '%s\n' "$name"
        fi
    done
}

# experiment_of FILE: the name in docs/NN-NAME.md or demos/NN-NAME.sh.
experiment_of() {
    local name=${1##*/}
    name=${name#[0-9][0-9]-}
    printf '%s\n' "${name%.*}"
}

# question NAME: what an experiment asks, as its help says on the first line.
question() {
    local help
    help=$("$target/debug/$1" --help)
    help=${help%%$'\n'*}
    printf '%s\n' "${help#"$1: "}"
}

# What a transcript depends on: the kernel, the privilege, how cgroups are mounted, and in how many different ones we
# are (a process in the root of every hierarchy cannot see what a cgroup namespace hides).
conditions() {
    local release user=user layout paths
    release=$(uname -r)
    paths=$(cut -d: -f3- /proc/self/cgroup | sort -u | wc -l)
    [[ $EUID != 0 ]] || user=root
    layout=$(awk '
        $3 == "cgroup" { v1 = 1 }
        $3 == "cgroup2" { v2 = 1 }
        END { print v1 && v2 ? "hybrid" : v2 ? "v2" : v1 ? "v1" : "no cgroups" }' /proc/self/mounts)
    printf 'kernel %s, %s, %s, cgroup paths: %s\n' "$(cut -d. -f1,2 <<<"$release")" "$user" "$layout" "$paths"
}

# As apt gets at Debian here, proxies and all, for a Debian that is made here.
apt_as_here() {
    apt-config dump 2>/dev/null | grep -E '^Acquire::(https?::|Check-|Retries)' || true
}

# has PROGRAM...: whether all are there; /usr/sbin too, where an ordinary user's PATH does not lead.
has() {
    local program
    for program; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || return 1
    done
}
