#!/usr/bin/env bash
# Who sees this mount? The walkthrough for docs/10-mount-ns.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Who sees this mount?' "$@"
needs unshare:util-linux nsenter:util-linux findmnt:util-linux mount:mount
needs_user_namespaces

say 'A mount namespace is a list of mounts. A new one begins as a copy of the old: as many lines, the
same places. But each line has a new number in front, so these are other mounts.'
try 'wc -l </proc/self/mountinfo; grep -m 1 " / / " /proc/self/mountinfo'
try 'unshare -Urm sh -c '\''wc -l </proc/self/mountinfo; grep -m 1 " / / " /proc/self/mountinfo'\'

say 'From then on each has its own list. What is mounted inside is not there outside:'
try 'unshare -Urm sh -c '\''mount -t tmpfs inside /mnt && findmnt /mnt'\''; findmnt --mountpoint /mnt'

say 'The list is copied, the files are not. What is written below a mount that both lists have is
one file for both:'
try 'f=$(mktemp -u)
unshare -Urm sh -c "echo hello >$f"; cat $f; rm $f'

say 'And a mount can be told to stay in touch with its copies. Here are two namespaces. The first shares
what is mounted on /mnt; the second is a copy of it that makes itself a slave.'
try 'unshare -Urm sh -c "mount -t tmpfs x /mnt; mount --make-shared /mnt; mkdir /mnt/a /mnt/b; exec sleep 60" &'
settle '[[ $(</proc/$!/comm) == sleep ]]'
try 'first=$!; enter="nsenter --user --mount --preserve-credentials --target"
$enter $first unshare --mount --propagation slave sleep 60 &'
settle '[[ $(</proc/$!/comm) == sleep ]]'
say 'Mount something in each, and look at both. The field with the number of the peer group, shared:N or
master:N, tells who passes mounts on to whom.'
try 'second=$!; $enter $first mount -t tmpfs a /mnt/a; $enter $second mount -t tmpfs b /mnt/b
grep -E " /mnt(/[ab])? " /proc/$first/mountinfo'
try 'grep -E " /mnt(/[ab])? " /proc/$second/mountinfo'
say 'The slave has got a, and has kept b to itself.'

say 'Last, a copy in the hands of someone with less privilege. The mount was made by an owner of more, so it
is locked: umount calls it "not mounted", which is what it makes of EINVAL.'
try '$enter $first unshare --mount umount /mnt/a && echo unmounted'
try '$enter $first unshare -Urm umount /mnt/a'

finish mount-ns
