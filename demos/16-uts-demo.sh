#!/usr/bin/env bash
# Who sees a new hostname? The walkthrough for docs/16-uts-demo.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Who sees a new hostname?' "$@"
needs unshare:util-linux nsenter:util-linux hostname:hostname
needs_user_namespaces

say 'A UTS namespace begins with a copy of its creator'\''s names. A new name stays in it: the last line below is the
same as the first. In "unshare -Ur", -U creates a user namespace, and -r makes you root in it.'
try 'hostname; unshare -Ur --uts sh -c '\''hostname; hostname inside; hostname'\''; hostname'

say 'The namespace exists as long as a member. This one has the hostname "container".'
try 'unshare -Ur --uts sh -c '\''hostname container; exec sleep 60'\'' &'
settle 'nsenter --user --preserve-credentials --uts --target $! hostname | grep container'
try 'readlink /proc/self/ns/uts /proc/$!/ns/uts'
say 'The numbers differ, so these are two namespaces. A process that enters the other one by
nsenter reads its hostname. The machine and the directory are still the same:'
try 'nsenter --user --preserve-credentials --uts --target $! sh -c '\''hostname; uptime -p; pwd'\'

say 'The hostname is also a file. Here it is opened outside and read inside. Each reader gets the name of its own
namespace:'
try 'unshare -Ur --uts sh -c '\''hostname inside; cat <&3'\'' 3< /proc/sys/kernel/hostname'

say 'Root of a user namespace may change only what that user namespace owns. This command creates no UTS namespace, so it
asks for a change of the host'\''s name. sethostname() fails with EPERM:'
try 'unshare -Ur hostname inside'

finish uts-demo
