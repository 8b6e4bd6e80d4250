#!/usr/bin/env bash
# How far into a container does nsenter lead? The walkthrough for docs/17-ns-enter.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'How far into a container does nsenter lead?' "$@"
needs unshare:util-linux nsenter:util-linux pgrep:procps hostname:hostname ip:iproute2
needs_user_namespaces

say 'This container has five namespaces of its own, and a process 1 in them that does nothing. $c is its number out
here.'
try 'unshare -Ur --uts --net --pid --fork --kill-child --mount-proc sh -c '\''hostname container; exec sleep 600'\'' &'
settle 'pgrep --parent $! sleep'
try 'c=$(pgrep --parent $!)
enter="nsenter -U --preserve-credentials --target $c"'

say 'One namespace at a time. The hostname is another at once; all else is as it was:'
try '$enter --uts sh -c '\''hostname; pwd'\'''

say 'The network namespace has its own devices. /sys/class/net goes on showing ours: it belongs to whoever mounted it.'
try '$enter --net ip link add lab0 type bridge
$enter --net sh -c '\''ip -brief link; ls /sys/class/net'\'''

say 'In the PID namespace, only a child of nsenter has a PID, so nsenter forks. /proc is still that of the host, which shows
another PID of that child. With the mount namespace comes the /proc of the container:'
try '$enter --pid sh -c '\''echo $$; exec readlink /proc/self'\''
$enter --pid --mount sh -c '\''echo $$; exec readlink /proc/self'\'''

say 'A root directory is no namespace. This container has a chroot at /usr, and the mount namespace leads past it:'
try 'unshare -Ur --mount --kill-child --fork chroot /usr sleep 600 &'
settle 'pgrep --parent $! sleep'
try 'jail=$(pgrep --parent $!)
nsenter -U --preserve-credentials --target $jail --mount ls -d /usr
nsenter -U --preserve-credentials --target $jail --mount --root ls -d /usr'
say 'With --root there is no /usr any more: we are in it.'

say 'Who may enter? Whoever has CAP_SYS_ADMIN in the user namespace that owns it, and in his own (for mounts CAP_SYS_CHROOT
too). Root of a user namespace beside it has nothing over what was made outside:'
try 'unshare -Ur nsenter --uts --target $c hostname'

finish ns-enter
