# shellcheck shell=bash
# What the demos about cgroups share, to be sourced after stage.sh. A cgroup stays when its creator ends. So a demo
# says `mine` of each before it makes it, and all of them are removed at the end, however the demo ends.

# By the name, inception-PID-STARTTIME-N-PURPOSE, the experiments know one whose creator is gone, and remove it. The start
# time is field 22, counted from behind the name in brackets.
stat=$(</proc/$$/stat)
# shellcheck disable=SC2034 # the demos use it
walk=inception-$$-$(cut -d' ' -f20 <<<"${stat##*) }")
v2=$(findmnt -nfo TARGET -t cgroup2 || true)
made=()

# is_cgroup PATH: of either version. A path is no proof of it; the type of its file system is.
is_cgroup() {
    [[ $(stat -fc %T "$1" 2>/dev/null) == cgroup*fs ]]
}

# mine PATH...: these will be ours to remove. A parent comes before its children.
mine() {
    made+=("$@")
}

# own_cgroup: our cgroup of version 2. In a cgroup namespace it may be one that is not mounted; then the highest is.
own_cgroup() {
    local own
    own=$v2$(sed -n s/^0:://p /proc/self/cgroup)
    own=${own%/}
    is_cgroup "$own" || own=$v2
    printf '%s\n' "$own"
}

# place_of CONTROLLER: the nearest cgroup in which one with that controller can be made, and processes moved there. Of
# any cgroup of version 2 if no controller is named.
place_of() {
    local top path
    if [[ $# == 1 ]] && top=$(findmnt -nfo TARGET -t cgroup -O "$1"); then
        path=$(sed -n "s/^[0-9]*:$1://p" /proc/self/cgroup)
    elif [[ -n $v2 ]]; then
        top=$v2 path=$(sed -n 's/^0:://p' /proc/self/cgroup)
    else
        return 0
    fi
    path=${path%/}
    while [[ ! -w $top$path || ! -w $top$path/cgroup.procs ]] ||
        { [[ $# == 1 && $top == "$v2" ]] && ! grep -qw "$1" "$top$path/cgroup.subtree_control"; }; do
        [[ $path == */* ]] || return 0
        path=${path%/*}
    done
    ! is_cgroup "$top$path" || printf '%s\n' "$top$path"
}

# Removes what still stands, with its members, children first.
# shellcheck disable=SC2317 # `afterwards` has it called
take_down() {
    local at
    for ((at = ${#made[@]} - 1; at >= 0; at--)); do
        for _ in {1..200}; do
            is_cgroup "${made[at]}" || break
            empty "${made[at]}"
            find "${made[at]}" -depth -type d -exec rmdir {} + || true
            # A process that is killed still counts for a moment.
            # shellcheck disable=SC2154 # stage made it
            read -rt 0.02 -u "$never" || true
        done
    done
}

# Kills all members of a cgroup and of those below it. What is frozen is thawed: under version 1 it would not die.
# shellcheck disable=SC2317 # `take_down` calls it
empty() {
    local procs pid
    while read -r procs; do
        echo 0 >"${procs%/*}/cgroup.freeze" || true
        # The members of a threaded cgroup are listed only where its domain is.
        while read -r pid; do
            kill -KILL "$pid" || true
        done <"$procs" || true
    done < <(find "$1" -depth -name cgroup.procs)
}
afterwards take_down
