#!/usr/bin/env bash
# Who hears a hostname? The walkthrough for docs/16-uts-demo.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Who hears a hostname?' "$@"
needs unshare:util-linux nsenter:util-linux hostname:hostname
needs_user_namespaces

say 'A UTS namespace begins with a copy of the names that its creator had. A new name stays in it: the last line below is
the first again.'
try 'hostname; unshare -Ur --uts sh -c '\''hostname; hostname inside; hostname'\''; hostname'

say 'The namespace lives as long as a member. This one is called container.'
try 'unshare -Ur --uts sh -c '\''hostname container; exec sleep 60'\'' &'
settle 'nsenter --user --preserve-credentials --uts --target $! hostname | grep container'
try 'readlink /proc/self/ns/uts /proc/$!/ns/uts'
say 'Two numbers, two namespaces. Who goes into that of the container hears the name of the container, and stays on
this machine in every other respect:'
try 'nsenter --user --preserve-credentials --uts --target $! sh -c '\''hostname; uptime -p; pwd'\'

say 'The same name can be read as a file. Whose name is it when the file was opened outside, and is read inside? That of
the reader, at the moment of the reading:'
try 'unshare -Ur --uts sh -c '\''hostname inside; cat <&3'\'' 3< /proc/sys/kernel/hostname'

say 'Root of a user namespace may rename what that user namespace owns. Here no UTS namespace is made, so the name is
still the host'\''s, and all capabilities of this root are worth nothing:'
try 'unshare -Ur hostname inside'

finish uts-demo
