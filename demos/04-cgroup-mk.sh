#!/usr/bin/env bash
# What is a cgroup, and who is in it? The walkthrough for docs/04-cgroup-mk.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What is a cgroup, and who is in it?' "$@"
needs findmnt:util-linux stat:coreutils sed:sed grep:grep find:findutils

. "$(dirname "$(readlink -f "$0")")/cgroups.sh"

say 'A cgroup is a directory of a file system that the kernel makes up. There are two versions of
it, and a machine may have both. A path is no proof of which it is; the type is.'
try 'findmnt --types cgroup,cgroup2 --output TARGET,FSTYPE'
if [[ -z $v2 ]]; then
    complain 'version 2 is not mounted here; to get it, as root: mount -t cgroup2 none DIRECTORY'
    exit 77
fi
try 'v2=$(findmnt -nfo TARGET -t cgroup2); stat -fc %T $v2'
if ! is_cgroup "$v2"; then
    complain "another file system is mounted over $v2"
    exit 77
fi

say 'Every process is in one cgroup of version 2. Ours is this:'
try 'own=$v2$(sed -n s/^0:://p /proc/self/cgroup); echo $own'
own=$(own_cgroup)

say 'mkdir is all that it takes to make another. The name tells who made it, so that the experiments
can sweep it away should nobody else.'
new=''
mine "$own/$walk-0-walk"
try 'new=$own/'"$walk-0-walk"'; mkdir $new'

if [[ ! -d $new ]]; then
    say 'Refused. Whoever may write to a directory may make cgroups in it: root, unless root has
handed it over. That is called delegation, and systemd does it on request:
systemd-run --user --scope -p Delegate=yes demos/'"$demo"'. Where root too is refused, as in most
containers, the whole tree is mounted read-only.'
    try 'ls -ld $own'
    say 'To look is free. These are the first members of our cgroup, and what all of version 2 can
limit here:'
    try 'head -n 3 $own/cgroup.procs; cat $v2/cgroup.controllers'
    finish cgroup-mk
fi

say 'Nobody has made the files in it. Nor can anybody add one, not even root: they are the
kernel'\''s.'
try 'ls -C $new'
try 'touch $new/mine'

say 'A write to cgroup.procs is a command: it moves a process here. The > that would empty any
other file empties nothing. Read, the file lists who is in; /proc/PID/cgroup has it from the side
of the process.'
try 'sleep 60 & echo $! > $new/cgroup.procs
sleep 60 & echo $! > $new/cgroup.procs
cat $new/cgroup.procs; grep ^0:: /proc/$!/cgroup'
say 'One command moves one process. Two at once are refused, and neither moves:'
try '/bin/echo $(jobs -p) > $new/cgroup.procs'

say 'With members a cgroup cannot be removed. Its cgroup.events tells why, as does that of every
cgroup above.'
try 'rmdir $new; cat $new/cgroup.events'
try 'kill $(jobs -p); wait; cat $new/cgroup.events'

say 'Cgroups nest, and a limit is a number in a file. This one is how many others there may be
below:'
try 'echo 1 > $new/cgroup.max.descendants; mkdir $new/a; mkdir $new/b'
say 'With a child it cannot be removed either: the tree comes down from its leaves.'
try 'rmdir $new; rmdir $new/a $new'

place=$(place_of pids)
if [[ -n $place ]]; then
    say 'Most limits belong to a controller, that of processes to pids. Here the nearest cgroup that
gives it to those below is '"$place"'. Three may be in this one: a shell, and two that it starts.'
    mine "$place/$walk-1-walk"
    try "limited=$place/$walk-1-walk; mkdir \$limited; echo 3 > \$limited/pids.max"
    try 'sh -c '\''echo $$ > $1/cgroup.procs; sleep 9 & sleep 9 & sleep 9'\'' sh $limited'
    try 'kill $(cat $limited/cgroup.procs)'
    settle 'rmdir $limited'
else
    say 'Most limits belong to a controller, that of processes to pids. No cgroup that we may write
to gives it to those below: its cgroup.subtree_control does not list it.'
    try 'cat $own/cgroup.subtree_control'
fi

finish cgroup-mk
