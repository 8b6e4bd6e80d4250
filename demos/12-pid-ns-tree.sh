#!/usr/bin/env bash
# One process, how many PIDs? The walkthrough for docs/12-pid-ns-tree.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'One process, how many PIDs?' "$@"
needs unshare:util-linux nsenter:util-linux ps:procps pgrep:procps
needs_user_namespaces

say 'PID namespaces nest. A process three levels down has a number in each namespace above it, and one in its own. The
kernel lists them all, from where you look inwards:'
try 'unshare -Urpf unshare -pf unshare -pf grep NSpid /proc/self/status'

say 'Two processes may have the same number, so long as each has a namespace of its own. Both of these are 1:'
try 'unshare -Urpf sh -c '\''echo $$'\'' & unshare -Urpf sh -c '\''echo $$'\''; wait'

say 'A number from outside means nothing inside. The signal finds nobody; but the old /proc, which was mounted outside,
goes on showing who is there:'
try 'sleep 60 & unshare -Urpf sh -c "kill -0 $!; cat /proc/$!/comm"'

say 'unshare(2) with CLONE_NEWPID moves the next children, not the caller. This shell keeps its number before and after; its
child is 1:'
try 'unshare -Ur --pid bash -c '\''echo $$; bash -c "echo \$\$"; echo $$'\'
say 'And once that first child has ended, nobody can follow:'
try 'unshare -Ur --pid sh -c '\''/bin/true; /bin/true'\'

say 'Now enter a namespace from outside, as "docker exec" does. This one has an init that does nothing:'
try 'unshare -Urpf --mount-proc --kill-child sleep 61 2>/dev/null &'
settle 'pgrep --parent "$!" -x sleep'
try 'init=$(pgrep --parent $!)
enter="nsenter --target $init --user --preserve-credentials --mount --pid"
$enter sleep 62 &'
settle 'pgrep --parent "$!" -x sleep'
try 'guest=$(pgrep --parent $!); grep -E "^(PPid|NSpid)" /proc/$guest/status'
say 'Seen from inside, the guest has no parent, as init has none: its parent has no PID there.'
try '$enter ps -eo pid,ppid,args'
say 'If the guest is orphaned, whose is it? Not the init'\''s of its namespace. Its parent was in our namespace, so it is
adopted here, and inside it still has the parent 0:'
try '{ kill -KILL $!; wait $!; } 2>/dev/null; grep -E "^(PPid|NSpid)" /proc/$guest/status'
try '$enter ps -eo pid,ppid,args'
say 'For all that it belongs to its namespace, and ends with it:'
try 'kill -KILL $init'
settle '! kill -0 "$guest"'
try 'ps -o pid,args $guest'

finish pid-ns-tree
