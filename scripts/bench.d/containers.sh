# shellcheck shell=bash
# From start to exit of a program that does nothing, in a container. For scripts/bench, which sets $root, $work, $release
# and $runs.
# shellcheck disable=SC2154
#
# All rows take turns, run by run: on a machine that others use too, one row after the other would compare two moments.
# hyperfine has no such order, so by-turns.c measures.

here=$root/scripts/bench.d
container=inception-bench-$$
bundle=$work/bundle

# The rows: the words that by-turns.c takes, and their names; and the names of those that cannot be had, with the reason.
turns=() turn_names=() unmeasured=()
measuring='' holder=''

# turn NAME NAMESPACE PROGRAM ARGUMENT...: a row, if the program runs here at all.
turn() {
    local name=$1
    shift
    if "$work/by-turns" 0 0 "$@" ';' 2>"$work/said" | grep -q ' 0$'; then
        turn_names+=("$name")
        turns+=("$@" ';')
    else
        unmeasured+=("$name"$'\t'"does not run here: $(head -n 1 "$work/said")")
    fi
}

# optional NAME PROGRAM PACKAGE: whether the program is there. If not, the row says how to get it.
optional() {
    has "$2" && return
    unmeasured+=("$1"$'\t'"not installed; to get it: apt install $3")
    return 1
}

# crun and runc look at /sys/fs/cgroup alone. Where that is v1 with v2 beside it ("hybrid"), crun gives up and runc makes
# a cgroup in each hierarchy. So they run in a mount namespace that has v2 there, and make one cgroup, as we do.
hold_a_namespace() {
    namespace=-
    [[ -d /sys/fs/cgroup/unified ]] || return 0
    # It ends with us, since then nobody has the other end of its input.
    coproc HOLDER { exec unshare --mount sh -c 'mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup; echo; read -r _'; }
    # shellcheck disable=SC2153 # bash sets it
    holder=$HOLDER_PID
    read -r -t 10 _ <&"${HOLDER[0]}" || return 0
    namespace=/proc/$holder/ns/mnt
}

runtime_row() {
    local runtime=$1 options=()
    [[ $runtime != crun ]] || options=(--cgroup-manager=cgroupfs)
    turn "$runtime run, in a cgroup" "$namespace" "$runtime" "${options[@]}" \
        --root "$work/$runtime" run --bundle "$bundle" "$container-$runtime"
}

containers() {
    local rootfs=$bundle/rootfs namespace=- all runtime
    PATH=$PATH:/usr/sbin
    mkdir -p "$rootfs"/{bin,proc}
    if ! cc -O2 -static -o "$rootfs/bin/nothing" -xc - <<<'int main(void) { return 0; }' 2>"$work/said" ||
        ! cc -O2 -static -o "$work/floor" "$here/floor.c" 2>"$work/said" ||
        ! cc -O2 -o "$work/by-turns" "$here/by-turns.c" 2>"$work/said"; then
        printf '\nNo containers without a C compiler; to get one: apt install gcc libc6-dev\n'
        return
    fi
    cp "$here/config.json" "$bundle"

    all=(--user --map-root-user --pid --fork --mount-proc --uts --ipc --net --cgroup --time)
    turn 'unshare: eight namespaces, chroot, /proc' - unshare "${all[@]}" --root="$rootfs" /bin/nothing
    turn 'our system calls in C, with no care taken' - "$work/floor" "$rootfs" /bin/nothing
    if optional 'bwrap --unshare-all' bwrap bubblewrap; then
        turn 'bwrap --unshare-all' - bwrap --unshare-all --bind "$rootfs" / --proc /proc --dev /dev /bin/nothing
    fi
    turn 'mini-container run' - "$release/mini-container" run "$rootfs" /bin/nothing
    turn 'mini-container run, in a cgroup' - "$release/mini-container" run --pids-max 20 "$rootfs" /bin/nothing
    if [[ $EUID == 0 ]]; then
        hold_a_namespace
        for runtime in crun runc; do
            if optional "$runtime run, in a cgroup" "$runtime" "$runtime"; then
                runtime_row "$runtime"
            fi
        done
    else
        unmeasured+=($'crun, runc\tneed root here')
    fi
    by_turns 0 'back to back'
    by_turns 100 'after a pause of 100 ms each'
    if ((${#unmeasured[@]})); then
        printf '\n'
        printf '%s\n' "${unmeasured[@]}" | awk -F'\t' '{ printf "%-42s %s\n", $1, $2 }'
    fi
}

# by_turns PAUSE WORDS: the table. Processor time leaves out what waits: for a processor, on a busy machine, or for the kernel.
by_turns() {
    local pause=$1
    ((${#turns[@]})) || return 0
    # In the background, since bash hears no signal while it waits for what is not.
    "$work/by-turns" "$runs" "$pause" "${turns[@]}" >"$work/turns" 2>"$work/said" &
    measuring=$!
    wait "$measuring"
    measuring=''
    printf '\nA container, of a program that does nothing: from start to exit, by turns, %s (load %s)\n\n' \
        "$2" "$(cut -d ' ' -f 1 /proc/loadavg)"
    printf '%s\n' "${turn_names[@]}" | awk '
        function ms(at, share) { return sorted[at, int((count[at] - 1) * share) + 1] / 1e6 }
        # Sorted as they come: there are few.
        function insert(at, value,    place) {
            for (place = ++count[at]; place > 1 && sorted[at, place - 1] > value; place--)
                sorted[at, place] = sorted[at, place - 1]
            sorted[at, place] = value
        }
        FILENAME == "-" { name[rows++] = $0; next }
        $1 >= 0 { insert($1, $2); insert("cpu" $1, $3 * 1000); failed[$1] += $4 != 0 }
        END {
            for (at = 0; at < rows; at++) {
                if (name[at] ~ /^unshare/) unshare = ms(at, 0.5)
                if (name[at] ~ /^crun/) crun = ms(at, 0.5)
            }
            printf "%-42s %9s %15s %9s %9s %7s\n", "", "median", "middle half", "processor", "/ unshare", "/ crun"
            for (at = 0; at < rows; at++) {
                printf "%-42s %6.1f ms %5.1f - %4.1f ms %6.1f ms", name[at],
                    ms(at, 0.5), ms(at, 0.25), ms(at, 0.75), ms("cpu" at, 0.5)
                printf " %9s %7s", unshare ? sprintf("%.2f", ms(at, 0.5) / unshare) : "-",
                    crun ? sprintf("%.2f", ms(at, 0.5) / crun) : "-"
                printf "%s\n", failed[at] ? "  " failed[at] " failed" : ""
            }
        }' - "$work/turns"
}

# Whatever the moment: what a runtime had begun is its own to remove, and a cgroup of it that stays is ours.
remove_containers() {
    local runtime
    if [[ -n $measuring ]]; then
        # It lets the run that is going on come to its end.
        kill -TERM "$measuring" 2>/dev/null || true
        wait "$measuring" 2>/dev/null || true
    fi
    for runtime in crun runc; do
        if [[ -n $(find "$work/$runtime" -mindepth 1 -print -quit 2>/dev/null) ]]; then
            "$runtime" --root "$work/$runtime" delete --force "$container-$runtime" >/dev/null 2>&1 || true
        fi
    done
    find /sys/fs/cgroup -depth -type d -name "$container-*" -exec rmdir {} + 2>/dev/null || true
    [[ -z $holder ]] || kill "$holder" 2>/dev/null || true
}
