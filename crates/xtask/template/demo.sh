#!/usr/bin/env bash
# @question@ The walkthrough for docs/@number@-@name@.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage '@question@' "$@"
needs unshare:util-linux
needs_user_namespaces

say 'In a new mount namespace a shell mounts a tmpfs on /dev/shm, and creates a file there. It sees the file. The last
line is from outside, where there is no such file.'
try 'unshare -Urm sh -c '\''mount -t tmpfs tmpfs /dev/shm; touch /dev/shm/file; ls /dev/shm'\''; ls /dev/shm/file'

finish @name@
