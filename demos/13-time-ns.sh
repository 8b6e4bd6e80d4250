#!/usr/bin/env bash
# Can a process be told that the machine booted last week? The walkthrough for docs/13-time-ns.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Can a process be told that the machine booted last week?' "$@"
needs unshare:util-linux uptime:procps date:coreutils
needs_user_namespaces
if [[ ! -e /proc/self/ns/time ]]; then
    complain 'this kernel has no time namespaces (Linux 5.6 has)'
    exit 77
fi

say 'A time namespace adds an offset to the clocks that count from boot: here a week. The time of day is no such clock.'
try 'uptime -p; date +%A'
try 'unshare -Ur --time --fork --boottime 604800 sh -c '\''uptime -p; date +%A'\'

say 'Who makes a time namespace is not in it: the next child is. That is what --fork is for. The two differ:'
try 'unshare -Ur --time --fork sh -c '\''readlink /proc/$PPID/ns/time /proc/$$/ns/time'\'

say 'The offsets are a file, /proc/self/timens_offsets, and can be written until the namespace has its first member. Since
Linux 6.2 the creator itself becomes that member as soon as it calls execve, which is how any shell is started. So this,
much like the example in the manual page, comes too late there; Linux 6.1 still says OK:'
try 'unshare -Ur --time bash -c '\''echo "monotonic 86400 0" > /proc/self/timens_offsets && echo OK'\'

say 'Nested offsets do not add up. Each counts from the machine: 500 under 1000 is 500.'
try 'unshare -Ur --time --fork --boottime 1000 unshare --time --fork --boottime 500 cat /proc/uptime; cat /proc/uptime'

finish time-ns
