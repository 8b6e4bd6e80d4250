#!/usr/bin/env bash
# Is chroot a jail? The walkthrough for docs/18-chroot-jail.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
# An ordinary user's PATH lacks it, and chroot and pivot_root are there.
PATH=$PATH:/usr/sbin:/sbin
stage 'Is chroot a jail?' "$@"
needs unshare:util-linux nsenter:util-linux pivot_root:util-linux mount:mount chroot:coreutils perl:perl-base setpriv:util-linux
needs_user_namespaces

say 'chroot is root'\''s. But who is root of a user namespace may call it, too:'
try 'unshare -Ur chroot / id -u'
try 'unshare -Ur setpriv --bounding-set -sys_chroot chroot / id -u'

say 'A root needs programs in it, with all that they load. Where something is missing the kernel says
"No such file", and does not say which.'
try 'unshare -Urm sh -c '\''mount -t tmpfs x /mnt; cp /bin/ls /mnt; ls /mnt; chroot /mnt /ls'\'

say 'So let us have a root that shares the programs of yours. Here is a mount namespace to build it in:'
try 'unshare -Urm sh -c '\''mount -t tmpfs x /mnt; cd /mnt; mkdir usr proc dev cell
for i in usr proc dev; do mount --rbind /$i $i; done; cp -a /bin /lib* . 2>/dev/null
exec sleep 60'\'' &'
settle '[[ $(</proc/$!/comm) == sleep ]]'
try 'in="nsenter --target $! --user --mount --preserve-credentials"; $in chroot /mnt ls /'

say 'That looks like a jail. It takes a line of perl to leave it. chroot moves the root, and leaves the
working directory where it is. So: move the root below you. Now there is nothing above that would stop
you, and you climb.'
try '$in chroot /mnt perl -e '\''chroot "cell"; chdir ".." for 1..40; chroot "."; exec "ls /"'\'' | head -n 4'
say 'Or keep a descriptor, and come back by it:'
try '$in chroot /mnt perl -e '\''open F, "."; chroot "cell"; chdir "/"; chdir F; chdir ".." for 1..40; chroot "."; exec "ls /"'\'' | head -n 4'
say 'Or ask for the mount namespace that you are in already: you land at its root.'
try '$in chroot /mnt nsenter --mount=/proc/self/ns/mnt ls / | head -n 4'

say 'All three need CAP_SYS_CHROOT. Without it, the same perl gets nowhere:'
try '$in chroot /mnt setpriv --bounding-set -sys_chroot perl -e '\''chroot "cell" or print "$!\n"; chdir ".." for 1..40; exec "ls"'\'

say 'A container does without chroot. It makes the jail the root of its mount namespace, and takes the
old one out of it. Then there is nothing to climb to:'
try '$in unshare --mount sh -c '\''cd /mnt; pivot_root . .; umount -l .
perl -e "chroot q(cell); chdir q(..) for 1..40; chroot q(.); exec q(ls /)"'\'

finish chroot-jail
