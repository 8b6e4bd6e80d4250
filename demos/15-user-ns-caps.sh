#!/usr/bin/env bash
# What can root in a user namespace do? The walkthrough for docs/15-user-ns-caps.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What can root in a user namespace do?' "$@"
needs unshare:util-linux setpriv:util-linux mount:mount hostname:hostname
needs_user_namespaces

# The question is an ordinary user's. Where root walks, each command becomes one.
by=''
if ((EUID == 0)); then
    say 'You are root, who may do anything anyway. So let an ordinary user take your place:'
    try 'as="setpriv --reuid 64321 --regid 64321 --clear-groups"; $as id -u'
    by='$as '
    if ! why=$(eval "${by}unshare --user true" 2>&1); then
        complain "an ordinary user is refused ($why); 'inception doctor' says what to do"
        exit 77
    fi
fi

say 'An ordinary user has no capability. In a new user namespace the same process has every one of them:'
try "${by}grep CapEff /proc/self/status; ${by}unshare --user --keep-caps grep CapEff /proc/self/status"
say 'Without --keep-caps they are gone by the time grep runs. execve(2) leaves them to user 0 only, and so far this is
nobody:'
try "${by}unshare --user grep CapEff /proc/self/status; ${by}unshare --user --map-root-user grep CapEff /proc/self/status"

say 'What are they worth? That depends on who owns what they are used on. This hostname belongs to the machine:'
try "${by}unshare -Ur hostname mine"
say 'This one to a UTS namespace that the user namespace owns, because both were made at once:'
try "${by}unshare -Ur --uts sh -c 'hostname mine; hostname'"
say 'And here the UTS namespace was there first. A user namespace below it has all capabilities too, but not over it:'
try "${by}unshare -Ur --uts sh -c 'hostname mine; unshare -Ur hostname other; hostname'"

say 'Filesystems go the same way. A procfs shows a PID namespace, so one has to own one:'
try "${by}unshare -Ur --mount mount -t proc proc /mnt"
try "${by}unshare -Ur --mount --pid --fork mount -t proc proc /mnt; echo \$?"
say 'The clock, swap and devices belong to the machine, in no namespace. There is one exception, a device that is none:'
try "${by}unshare -Ur date --set=now >/dev/null"
try "${by}unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mknod null c 1 3; mknod whiteout c 0 0; ls'"

say 'Nor is what was given up gone for good. Drop a capability from the bounding set, from which nothing returns;
except in a new user namespace:'
try "${by}unshare -Ur setpriv --bounding-set=-net_admin sh -c 'grep CapBnd /proc/self/status; unshare -Ur grep CapBnd /proc/self/status'"

finish user-ns-caps
