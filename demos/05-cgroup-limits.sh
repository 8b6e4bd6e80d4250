#!/usr/bin/env bash
# What does a limit do? The walkthrough for docs/05-cgroup-limits.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What does a limit do?' "$@"
needs findmnt:util-linux taskset:util-linux stat:coreutils head:coreutils sed:sed grep:grep cut:coreutils ps:procps

. "$(dirname "$(readlink -f "$0")")/cgroups.sh"

number=0
# next_in PLACE: sets new to the name of a cgroup that will be made there.
next_in() {
    new=$1/$walk-$number-walk
    number=$((number + 1))
    mine "$new"
}

say 'A limit is a number in a file of a cgroup. Each file belongs to a controller. What happens at a limit
depends on the controller. First come those of version 2 here, then all that the kernel has:'
if [[ -n $v2 ]]; then
    try 'cat $(findmnt -nfo TARGET -t cgroup2)/cgroup.controllers'
fi
try 'cut -f 1 /proc/cgroups'
pids=$(place_of pids)
if [[ -z $pids ]]; then
    say 'No cgroup that you may write to enables the controller pids for its children. Be root, or let systemd
delegate a cgroup: systemd-run --user --scope -p Delegate=yes demos/'"$demo"'.'
    finish cgroup-limits
fi

say 'pids: the number of processes. Four are allowed: a shell, and three that it starts. The next fork()
fails with EAGAIN; no process is killed.'
next_in "$pids"
try "new=$new; mkdir \$new; echo 4 > \$new/pids.max"
try 'sh -c '\''echo $$ > $1/cgroup.procs; for i in 1 2 3 4; do sleep 9 & done'\'' sh $new'
try 'cat $new/pids.current $new/pids.events'
say 'The kernel accepts a limit below the number of members. The members stay.'
try 'echo 1 > $new/pids.max; cat $new/pids.current; kill $(cat $new/cgroup.procs)'
settle 'rmdir $new'

memory=$(place_of memory)
if [[ -n $memory ]]; then
    next_in "$memory"
    mkdir "$new"
    max=memory.max events=memory.events
    [[ -e $new/$max ]] || max=memory.limit_in_bytes events=memory.oom_control
    rmdir "$new"
    # What has space to swap to would not be full.
    swap=''
    [[ -z $(tail -n +2 /proc/swaps) || $max != memory.max ]] || swap='; echo 0 > $new/memory.swap.max'
    say 'memory: the number of bytes. Memory counts when it is touched, and no call is made then that could
fail. So the process is killed by SIGKILL: exit status 137.'
    try "new=$new; mkdir \$new; echo 8M > \$new/$max$swap"
    try 'sh -c '\''echo $$ > $1/cgroup.procs; sh -c "a=x; while :; do a=\$a\$a; done"; echo $?'\'' sh $new'
    try "grep oom_kill \$new/$events"
    settle 'rmdir $new'
fi

cpu=$(place_of cpu)
if [[ -n $cpu ]]; then
    next_in "$cpu"
    mkdir "$new"
    give='echo 2000 20000 > $new/cpu.max'
    [[ -e $new/cpu.max ]] || give='echo 20000 > $new/cpu.cfs_period_us; echo 2000 > $new/cpu.cfs_quota_us'
    rmdir "$new"
    say 'cpu: the CPU time, here 2 ms in every 20. A process that has used it up waits for the next period. No call
fails, and no process is killed. nr_throttled counts these periods.'
    try "new=$new; mkdir \$new; $give"
    try 'sh -c '\''echo $$ > $1/cgroup.procs; i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done'\'' sh $new'
    try 'grep nr_ $new/cpu.stat'
    settle 'rmdir $new'
fi

any=$(place_of)
if [[ -n $any ]]; then
    say 'Version 2 can freeze a cgroup without a controller: +freezer fails with EINVAL. A frozen process stops,
and SIGKILL still ends it.'
    next_in "$any"
    try "new=$new; mkdir \$new; /bin/echo +freezer > \$new/cgroup.subtree_control"
    try 'sleep 60 & echo $! > $new/cgroup.procs; echo 1 > $new/cgroup.freeze'
    settle 'grep -qx "frozen 1" $new/cgroup.events'
    try 'cat $new/cgroup.events; ps -o pid,stat,wchan:20,args $!'
    try 'kill -KILL $!; wait $! 2>/dev/null; cat $new/cgroup.events'
    settle 'rmdir $new'
fi

say 'Limits nest. The kernel accepts a larger limit in the child cgroup, and the file then reads so. But a fork counts in
both cgroups, so the strictest limit applies.'
next_in "$pids"
try "new=$new; mkdir \$new"
if [[ -e $new/cgroup.subtree_control ]]; then
    try 'echo +pids > $new/cgroup.subtree_control'
fi
try 'mkdir $new/below; echo 3 > $new/pids.max; echo 50 > $new/below/pids.max; cat $new/below/pids.max'
try 'sh -c '\''echo $$ > $1/below/cgroup.procs; for i in 1 2 3 4; do sleep 9 & done'\'' sh $new'
try 'kill $(cat $new/below/cgroup.procs)'
settle 'find $new -depth -type d -exec rmdir {} +'

finish cgroup-limits
