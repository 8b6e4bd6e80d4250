#!/usr/bin/env bash
# Who sees this message queue? The walkthrough for docs/07-ipc-ns.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'Who sees this message queue?' "$@"
needs unshare:util-linux nsenter:util-linux ipcmk:util-linux ipcs:util-linux mount:mount
needs_user_namespaces
in=''

say 'A message queue of System V outlives whoever makes it, so it is made in an IPC namespace of our own.
This process stays there with us; `in` is how we get to it.'
try 'unshare -Ur --ipc --mount sleep 3600 &'
settle 'test "$(readlink /proc/$!/ns/ipc)" != "$(readlink /proc/self/ns/ipc)" && nsenter --user --preserve-credentials --ipc --mount --target $! true'
try 'in="nsenter --user --preserve-credentials --ipc --mount --target $!"'
try '$in ipcmk --queue; $in ipcs --queues'

say 'From another IPC namespace there is no such queue, neither in the list nor by its identifier. A new
queue gets the same identifier, and is another.'
try '$in unshare --ipc ipcs --queues --id 0'
try '$in unshare --ipc sh -c '\''ipcmk --queue; ipcs --queues'\'

say 'The list is a file, /proc/sysvipc/msg. Whose list is it when it was opened inside, and is read from
another namespace? That of whoever opened it: the first count is of the file opened there, with a line of
heads alone, the second of that from before.'
try '$in sh -c '\''unshare --ipc sh -c "wc -l < /proc/sysvipc/msg; wc -l <&8" 8< /proc/sysvipc/msg'\'

say 'Message queues of POSIX have names, and a file system of their own shows them. It shows those of the
namespace in which it was mounted, to whoever looks:'
try '$in sh -c '\''mount -t tmpfs none /mnt; mkdir /mnt/a /mnt/b; mount -t mqueue none /mnt/a; touch /mnt/a/lab'\'
try '$in unshare --ipc ls /mnt/a'

say 'When the last member of a namespace ends, what it mounted shows its queues still. But there is no
namespace any more in which one could be made.'
try '$in unshare --ipc sh -c '\''mount -t mqueue none /mnt/b; touch /mnt/b/last'\'
try '$in sh -c '\''ls /mnt/b; touch /mnt/b/new'\'

say 'The limits belong to the namespace as well. A new one begins with the defaults of the kernel, and not
with what its creator had.'
if $in sh -c 'echo 8192 > /proc/sys/kernel/msgmax' 2>/dev/null; then
    try '$in sh -c '\''echo 4242 > /proc/sys/kernel/msgmax; cat /proc/sys/kernel/msgmax'\'
    try '$in unshare --ipc cat /proc/sys/kernel/msgmax'
else
    try '$in cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max'
fi

say 'With its last member our namespace ends, and so does all that was made in it. Here, outside, none of
it was ever to be seen.'
try 'kill $!; ipcs --queues'
finish ipc-ns
