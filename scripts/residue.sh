# shellcheck shell=bash
# Finds what a run left behind, on a machine where others work too: nothing is ours because it is new.
#
# A process is a run's if it has the run's token in its environment, which children inherit. A cgroup or a temporary
# directory is ours if it bears a name of ours, inception-PID-STARTTIME-N-PURPOSE, and left behind if that owner is gone.

# token_of_a_run: one that no other run has.
token_of_a_run() {
    tr -dc a-z0-9 </dev/urandom | head -c 16 || true
}

# processes_of TOKEN: the PIDs of all that run with INCEPTION_SWEEP=TOKEN. A zombie has no environment any more, and is
# its parent's affair.
processes_of() {
    { grep -lsxzF "INCEPTION_SWEEP=$1" /proc/[0-9]*/environ || true; } | cut -d/ -f3
}

# The cgroups and temporary directories of ours whose owner is gone.
abandoned() {
    local path
    {
        awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/self/mounts |
            xargs -r -I{} find {} -xdev -type d -name 'inception-[0-9]*-[0-9]*-[0-9]*-*' 2>/dev/null || true
        find "${TMPDIR:-/tmp}" -maxdepth 1 -type d -name 'inception-[0-9]*-[0-9]*-[0-9]*-*' 2>/dev/null || true
    } | while IFS= read -r path; do
        if has_no_owner "$path"; then
            printf '%s\n' "$path"
        fi
    done
}

# has_no_owner PATH: the PID and the start time in its name are nobody's, and nobody holds its lock, as an owner in
# another PID namespace does.
has_no_owner() {
    local pid started stat now
    IFS=- read -r _ pid started _ <<<"${1##*/}"
    if stat=$(cat "/proc/$pid/stat" 2>/dev/null); then
        # Field 22, counted from behind the name in brackets, which may have blanks in it.
        now=$(cut -d' ' -f20 <<<"${stat##*) }")
        [[ $now != "$started" ]] || return 1
    fi
    [[ ! -e $1 ]] || flock --nonblock "$1" true 2>/dev/null
}

# left_behind TOKEN BEFORE: what is left of a run, a line each, after up to two seconds in which it may go. BEFORE is
# what `abandoned` said before the run.
left_behind() {
    local token=$1 before=$2 left until=$((SECONDS + 2))
    while :; do
        left=$(
            processes_of "$token" | while read -r pid; do
                printf 'process %s: %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || true)"
            done
            abandoned | grep -vxF -- "${before:-none}" || true
        )
        if [[ -z $left ]]; then
            return 0
        elif ((SECONDS > until)); then
            printf '%s\n' "$left"
            return 0
        fi
        read -rt 0.02 <><(:) || true
    done
}

# clear_away TOKEN BEFORE: removes it, so that one fault is not counted twice.
clear_away() {
    local token=$1 before=$2 pid path
    for pid in $(processes_of "$token"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    abandoned | { grep -vxF -- "${before:-none}" || true; } | while IFS= read -r path; do
        [[ ! -e $path/cgroup.kill ]] || echo 1 >"$path/cgroup.kill" || true
        read -rt 0.05 <><(:) || true
        if [[ -e $path/cgroup.procs ]]; then
            find "$path" -depth -type d -exec rmdir {} + || true
        else
            rm -rf --one-file-system "$path"
        fi
    done
}
