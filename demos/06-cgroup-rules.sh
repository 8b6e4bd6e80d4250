#!/usr/bin/env bash
# Which cgroups may hold processes, and how do v1 and v2 differ? The walkthrough for docs/06-cgroup-rules.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Which cgroups may hold processes, and how do v1 and v2 differ?' "$@"
needs findmnt:util-linux stat:coreutils sed:sed grep:grep find:findutils

. "$(dirname "$(readlink -f "$0")")/cgroups.sh"

say 'Every process is in one cgroup of version 2, and in one more for each hierarchy of version 1 that
this machine has. A line of /proc/PID/cgroup each; that of version 2 begins with 0::.'
try 'cat /proc/self/cgroup'
if [[ -z $v2 ]]; then
    complain 'version 2 is not mounted here; to get it, as root: mount -t cgroup2 none DIRECTORY'
    exit 77
fi
try 'v2=$(findmnt -nfo TARGET -t cgroup2); own=$v2$(sed -n s/^0:://p /proc/self/cgroup); echo $own'
if ! is_cgroup "$v2"; then
    complain "another file system is mounted over $v2"
    exit 77
fi
own=$(own_cgroup)

say 'The rules are tried in a cgroup of our own.'
new=''
mine "$own/$walk-0-rules"
try 'new=$own/'"$walk-0-rules"'; mkdir $new'
if [[ ! -d $new ]]; then
    say 'Refused: this cgroup belongs to somebody else. To give one away is called delegation, and
systemd does it on request: systemd-run --user --scope -p Delegate=yes demos/'"$demo"'. These are the files
that are given with the directory; a limit is not among them.'
    try 'cat /sys/kernel/cgroup/delegate'
    finish cgroup-rules
fi

if [[ $(<"$new/cgroup.type") != domain ]]; then
    say 'It can have no process: the cgroup above it has processes and has handed a controller down, and
so became threaded without a word. That is one of the surprises that the experiment shows.'
    try 'cat $new/cgroup.type $own/cgroup.type'
    settle 'rmdir $new'
    finish cgroup-rules
fi

say '"Processes only in leaves", one often reads of version 2. So put one into a cgroup, and another
into a child of it.'
try 'mkdir $new/child; sleep 60 & echo $! > $new/cgroup.procs; sleep 60 & echo $! > $new/child/cgroup.procs'
try '(cd $new; grep . cgroup.procs child/cgroup.procs)'

if grep -qw memory "$new/cgroup.controllers"; then
    say 'Nobody minds, while there is nothing to share out. The rule is about controllers: a cgroup that
hands memory to its children cannot have members, who would compete with the children.'
    try 'echo +memory > $new/cgroup.subtree_control'
    say 'The way out: the members move into a leaf. Afterwards nobody gets in any more.'
    try 'mkdir $new/leaf; echo $(<$new/cgroup.procs) > $new/leaf/cgroup.procs'
    try 'echo +memory > $new/cgroup.subtree_control; echo $! > $new/cgroup.procs'
else
    say 'Nobody minds, while there is nothing to share out. The rule is about controllers, and none is
enabled for us here: cgroup.controllers is empty.'
    try 'cat $new/cgroup.controllers'
fi

say 'A cgroup can be made threaded, for the threads of one process. That changes those around it: the
parent, and a sibling, where no process may be any more.'
try 'mkdir -p $new/t/threaded $new/t/sibling; echo threaded > $new/t/threaded/cgroup.type'
try '(cd $new; grep . t/cgroup.type t/*/cgroup.type)'
try 'echo $! > $new/t/sibling/cgroup.procs'
say 'There is no way back, but rmdir.'
try 'echo domain > $new/t/threaded/cgroup.type'

if old=$(findmnt -nfo TARGET -t cgroup -O pids) && [[ -w $old ]]; then
    say 'This machine has version 1 too. There, the file tasks moves a single thread anywhere. A cgroup and
its child can both have members. The other hierarchies do not change.'
    old=$old/$walk-1-rules
    mine "$old"
    try "old=$old; mkdir -p \$old/child"
    try 'sleep 60 & echo $! > $old/tasks; sleep 60 & echo $! > $old/child/tasks; grep -v :/$ /proc/$!/cgroup'
else
    old=''
    say 'Version 1 is not for us here. To mount it would take a controller from the whole machine, so
that is done in a machine to throw away: scripts/vm --user root -- cgroup-rules. This is what the kernel
could put there:'
    try 'cut -f1,2 /proc/cgroups'
fi

try 'kill $(jobs -p); wait'
settle 'find $old $new -depth -type d -exec rmdir {} +'
finish cgroup-rules
