#!/usr/bin/env bash
# What does a cgroup namespace hide? The walkthrough for docs/03-cgroup-ns.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What does a cgroup namespace hide?' "$@"
needs unshare:util-linux nsenter:util-linux findmnt:util-linux stat:coreutils sed:sed grep:grep cut:coreutils

# The namespaces that let whoever runs this make a cgroup namespace: root needs no other.
own_user=''
if [[ $EUID != 0 ]]; then
    needs_user_namespaces
    own_user='--user --map-root-user '
fi

. "$(dirname "$(readlink -f "$0")")/cgroups.sh"

if [[ -z $v2 ]]; then
    complain 'version 2 of cgroups is not mounted here; to get it, as root: mount -t cgroup2 none DIRECTORY'
    exit 77
fi

say 'Every process can read where it is in the trees of cgroups: a line a tree, and the line of
version 2 begins with 0::. The path starts at the root of the tree. Or does it? A new namespace, and
the same file:'
try 'cat /proc/self/cgroup'
try "unshare ${own_user}--cgroup cat /proc/self/cgroup"
say 'Nobody has moved. The path starts at the root of the reader'\''s cgroup namespace, and that is where
its creator was, in every tree.'

new=$(own_cgroup)/$walk-0-walk
mine "$new"
if ! mkdir "$new" 2>/dev/null; then
    say 'More is to be seen with a cgroup of one'\''s own, and none may be made here. Root may, and whoever
systemd hands one over to: systemd-run --user --scope -p Delegate=yes demos/'"$demo"'.'
    finish cgroup-ns
fi
rmdir "$new"

say 'Now with two cgroups of our own below one, and a process in each. The name tells who made them, so
that the experiments can sweep them away should nobody else.'
try "new=$new; mkdir \$new \$new/inner \$new/sibling"
try 'sleep 60 & echo $! > $new/sibling/cgroup.procs; beside=$!'
say 'A process in `inner` makes a namespace there, and is kept for the next steps. From outside it has a
path, for itself it is at the root of the tree.'
try "sh -c 'echo \$\$ > \$1/inner/cgroup.procs; exec unshare ${own_user}--cgroup sleep 60' sh \$new & inside=\$!"
settle '[[ $(readlink /proc/$inside/ns/cgroup) != $(readlink /proc/self/ns/cgroup) ]]'
try 'grep ^0:: /proc/$inside/cgroup'
enter='nsenter --target $inside'
[[ $EUID == 0 ]] || enter+=' --user --preserve-credentials'
try "$enter --cgroup grep ^0:: /proc/\$inside/cgroup"
say 'So the whole path is hidden from those inside. But look at others from there: a step up is .., and
then names are named.'
try "$enter --cgroup grep ^0:: /proc/\$beside/cgroup /proc/\$\$/cgroup"
say 'Nor did nsenter move anybody: to enter a cgroup namespace is to change one'\''s view. No limit of
`inner` was put on that grep.'

say 'The mount of cgroupfs is another matter. It was there before, and still shows everything; only that
its root is now said to be above.'
try "$enter --cgroup sh -c 'grep cgroup2 /proc/self/mountinfo | cut -d\" \" -f 4,5; ls -d \$1/sibling' sh \$new"
say 'A mount that is made inside begins at the namespace'\''s root. This is what containers get, in a mount
namespace that has the old one no more.'
try "$enter --cgroup unshare --mount sh -c 'mount -t cgroup2 cgroup2 /mnt; tail -n 1 /proc/self/mountinfo | cut -d\" \" -f 4,5; cat /mnt/cgroup.procs'"

say 'Does it keep anybody in? A process in `inner` tries to move itself to `sibling`. Whether it may is
decided by a mount option, nsdelegate, which systemd sets and others do not.'
try 'findmnt -nfo OPTIONS -t cgroup2'
try "$enter --cgroup sh -c '/bin/echo \$\$ > \$1/inner/cgroup.procs; /bin/echo \$\$ > \$1/sibling/cgroup.procs; grep ^0:: /proc/self/cgroup' sh \$new"
if findmnt -nfo OPTIONS -t cgroup2 | grep -qw nsdelegate; then
    say 'Even the first move was refused, from outside the root into it. With nsdelegate, the root of a
namespace is a boundary in both directions for its members.'
else
    say 'It got out. Without nsdelegate the namespace is a view, and permission to write is all that a move
takes.'
fi
try 'kill $inside $beside'
settle 'find $new -depth -type d -exec rmdir {} +'

finish cgroup-ns
