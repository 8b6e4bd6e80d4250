#!/usr/bin/env bash
# Which namespaces do two processes share? The walkthrough for docs/01-ns-compare.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Which namespaces do two processes share?' "$@"
needs unshare:util-linux lsns:util-linux pgrep:procps hostname:hostname
needs_user_namespaces

say 'Every process is in one namespace of each of eight kinds. The kernel shows them as links, whose text is a kind and
an inode number. Equal numbers, equal namespace.'
try 'readlink /proc/self/ns/*'

say 'Here is a process in new namespaces of three kinds. Which of its links differ from ours?'
try 'unshare -Ur --uts --pid --fork --kill-child sleep 60 &'
settle 'pgrep --parent $! sleep'
try 'other=$(pgrep --parent $!)
diff <(readlink /proc/self/ns/*) <(readlink /proc/$other/ns/*)'
say 'Four links, three namespaces: pid_for_children says where its children will be created. In all other respects it is
in our namespaces. lsns asks the kernel the same questions:'
try 'lsns --task $other --output NS,TYPE,NPROCS,PID,USER'

say 'A number is a name for as long as the namespace lives. Then another may get it. Twenty namespaces, one after the
other, share fewer numbers:'
try 'for i in $(seq 20); do unshare -Ur --uts readlink /proc/self/ns/uts; done | sort | uniq -c'

finish ns-compare
