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

# The experiments: every one has its demos/NN-NAME.sh, as `cargo xtask pairs` sees to.
experiments() {
    local demo
    for demo in demos/[0-9][0-9]-*.sh; do
        experiment_of "$demo"
    done | sort
}

# The programs that are no experiments. Besides there is ns-map-live, where cargo is new enough for it.
# shellcheck disable=SC2034 # scripts that source this one use it
tools=(inception ns-map ns-trace)

# xtask ARGUMENT...: what reads events, cargo's JSON or Markdown. It is built for this machine, whatever else is being
# built for another.
xtask() {
    env -u CARGO_ENCODED_RUSTFLAGS cargo build --quiet --locked --package xtask || return 2
    "$target/debug/xtask" "$@"
}

# experiment_of FILE: the name in docs/NN-NAME.md or demos/NN-NAME.sh.
experiment_of() {
    local name=${1##*/}
    name=${name#[0-9][0-9]-}
    printf '%s\n' "${name%.*}"
}

# What a transcript depends on: the kernel, the privilege, how cgroups are mounted, and in how many different ones we
# are. (A process in the root of every hierarchy cannot see what a cgroup namespace hides.)
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

# Where version 2 of cgroups is mounted. Who gives controllers to a cgroup enables them all the way down from there.
v2() {
    awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

# enable_only CGROUP 'CONTROLLER...': takes back what else the cgroup enables for its children.
enable_only() {
    local controller
    for controller in $(<"$1/cgroup.subtree_control"); do
        # EBUSY: someone else has come to need it meanwhile.
        [[ " $2 " == *" $controller "* ]] || echo "-$controller" 2>/dev/null >"$1/cgroup.subtree_control" || true
    done
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
