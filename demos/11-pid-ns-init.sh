#!/usr/bin/env bash
# What can kill PID 1? The walkthrough for docs/11-pid-ns-init.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What can kill PID 1?' "$@"
needs unshare:util-linux ps:procps pgrep:procps
needs_user_namespaces

say 'The first process of a new PID namespace is its PID 1, its init. Its parent is outside, and has no PID
inside: the shell reads 0.'
try 'unshare -Urpf --mount-proc sh -c '\''echo "I am $$, my parent is $PPID"; ps -o pid,ppid,comm'\'

say 'Any other process may end itself. Init may not, not even with SIGKILL: the kernel drops the signal, and tells
the sender nothing.'
try 'sh -c '\''kill -TERM $$; echo still here'\'
try 'unshare -Urpf sh -c '\''kill -TERM $$; kill -KILL $$; echo still here'\'

say 'From outside init gets the signals that it handles, and SIGKILL and SIGSTOP. This one handles SIGUSR1 alone.'
try 'unshare -Urpf --kill-child sh -c '\''trap "echo caught USR1; exit 3" USR1; sleep 60 & wait'\'' &'
# The trap is set once the shell has gone on to the sleep.
settle 'pgrep --parent "$(pgrep --parent $!)" sleep'
try 'init=$(pgrep --parent $!)
kill -TERM $init; echo $?
kill -USR1 $init; wait $!'
say 'The SIGTERM went first, and its kill said 0. It was lost all the same: init lived on to catch SIGUSR1, and ended
with the 3 of its trap. The sleep that it left behind went with it. That is the rule for any end of init:'
try 'unshare -Urpf sh -c '\''sleep 54321 & exit 7'\''; echo $?; pgrep -af "sleep 54321"'

finish pid-ns-init
