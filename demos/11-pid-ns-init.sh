#!/usr/bin/env bash
# What can kill PID 1? The walkthrough for docs/11-pid-ns-init.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What can kill PID 1?' "$@"
needs unshare:util-linux ps:procps pgrep:procps
needs_user_namespaces

say 'The first process of a new PID namespace is PID 1, its init. Its parent is outside, and has no PID
inside: the shell reads 0.'
try 'unshare -Urpf --mount-proc sh -c '\''echo "I am $$, my parent is $PPID"; ps -o pid,ppid,comm'\'

say 'A signal without a handler ends an ordinary process. The kernel drops it for init, if it comes from inside: SIGKILL
too. kill() succeeds all the same.'
try 'sh -c '\''kill -TERM $$; echo still here'\'
try 'unshare -Urpf sh -c '\''kill -TERM $$; kill -KILL $$; echo still here'\'

say 'From outside, init receives the signals that it handles, and SIGKILL and SIGSTOP. This init handles only SIGUSR1.'
try 'unshare -Urpf --kill-child sh -c '\''trap "echo caught USR1; exit 3" USR1; sleep 60 & wait'\'' &'
# The trap is set once the shell has gone on to the sleep.
settle 'pgrep --parent "$(pgrep --parent $!)" sleep'
try 'init=$(pgrep --parent $!)
kill -TERM $init; echo $?
kill -USR1 $init; wait $!'
say 'SIGTERM was sent first, and kill succeeded with 0. But the kernel dropped it: init lived on, handled SIGUSR1, and
ended with status 3. Its child, the sleep, ended with it. When init ends, all members end:'
try 'unshare -Urpf sh -c '\''sleep 54321 & exit 7'\''; echo $?; pgrep -af "sleep 54321"'

finish pid-ns-init
