#!/usr/bin/env bash
# What is a container made of? The walkthrough for docs/19-mini-container.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What is a container made of?' "$@"
needs unshare:util-linux setpriv:util-linux ps:procps pgrep:procps hostname:hostname ldd:libc-bin
needs_user_namespaces
binary=$(experiment mini-container) || exit 2
# shellcheck disable=SC2317 # `try` calls it
mini-container() { "$binary" "$@"; }

say 'A container is a process in other namespaces. With six of them and a new /proc, it has a hostname, a PID 1 and a
network of its own.'
try 'unshare -Ur --uts --ipc --net --pid --fork --mount-proc sh -c '\''hostname container; hostname; ps -o pid,comm'\'
try '[ "$(hostname)" = container ] || echo "the host has another hostname"'

say 'From outside it is an ordinary process. It has two PIDs, and other namespaces than this shell.'
try 'unshare -Ur --uts --pid --fork --kill-child --mount-proc sleep 60 &'
settle 'pgrep --parent $! sleep'
try 'pid=$(pgrep --parent $!); grep NSpid /proc/$pid/status
for ns in uts pid mnt user net; do
    [ $(readlink /proc/$pid/ns/$ns) = $(readlink /proc/self/ns/$ns) ] && echo "$ns: ours" || echo "$ns: another"
done'

say 'It is root inside, with every capability. A capability that it drops comes back in a nested user namespace.'
try 'unshare -Ur setpriv --bounding-set -sys_admin sh -c '\''grep CapBnd /proc/self/status
unshare --user grep CapBnd /proc/self/status'\'

say 'So a container needs more: a root directory of its own, few capabilities, a filter of system calls, limits, an init.
That is what "mini-container run" does. It needs a directory with programs; here are three of this machine,
with their libraries.'
# shellcheck disable=SC2034 # the commands use it
rootfs=$(mktemp -d "${TMPDIR:-/tmp}/inception-demo.XXXXXX")
afterwards 'rm -rf --one-file-system "$rootfs"'
try 'mkdir $rootfs/bin; for program in sh ls cat; do
    cp $(command -v $program) $rootfs/bin/
    for library in $(ldd $(command -v $program) | grep -o "/[^ ]*"); do
        mkdir -p $rootfs$(dirname $library); cp -n $library $rootfs$library 2>/dev/null
    done
done; ls $rootfs'
try 'mini-container run $rootfs sh -c '\''echo "I am $$, and my root has:" /*; echo changed >/new; ls /dev'\'
try 'ls $rootfs'
say 'What was written is gone with the container. Files in /proc that show or change the host are covered.'
try 'mini-container run $rootfs cat /proc/interrupts'
try 'mini-container run $rootfs sh -c '\''echo evil >/proc/sys/kernel/hostname'\'
try 'mini-container run $rootfs sh -c '\''while read -r line; do case $line in Cap*|NoNew*|Seccomp:*) echo "$line"; esac; done </proc/self/status'\'
try 'mini-container run $rootfs sh -c '\''kill -TERM $$'\'

finish mini-container
