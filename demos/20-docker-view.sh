#!/usr/bin/env bash
# What did Docker do? The walkthrough for docs/20-docker-view.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the commands are shown as they are typed
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What did Docker do?' "$@"
needs unshare:util-linux pgrep:procps awk:mawk grep:grep tar:tar
needs_user_namespaces
binary=$(experiment docker-view) || exit 2

# As it is installed, wherever it was built.
# shellcheck disable=SC2317 # `try` calls it
docker-view() {
    "$binary" "$@"
}

say 'The kernel knows no containers. It knows processes, and of each which namespaces it is in, where its root directory
is, which cgroup limits it, and what it may do. This one got three namespaces, by hand:'
try 'unshare -Ur --uts --pid --fork --kill-child sleep 600 &'
settle 'pgrep --parent $! sleep'
try 'made=$(pgrep --parent $!); docker-view --pid $made'

if command -v bwrap >/dev/null; then
    say 'This one is from bubblewrap, which Flatpak starts its programs with. Creators leave marks.'
    try 'bwrap --ro-bind / / --unshare-all --die-with-parent sleep 601 &'
    settle 'pgrep --full "^sleep 601"'
    try 'docker-view --pid $(pgrep --full "^sleep 601") | grep -E "likely|since"'
fi

# Why no container can be started here; nothing if one can.
engine() {
    if ! command -v docker >/dev/null || ! docker version >/dev/null 2>&1; then
        printf 'no Docker engine answers'
    elif [[ $EUID != 0 ]]; then
        printf 'only root may look into a container of the engine'
    elif ! [[ -x /usr/bin/busybox ]] || ldd /usr/bin/busybox >/dev/null 2>&1; then
        printf 'there is no busybox that needs no libraries (apt install busybox-static)'
    fi
}

why=$(engine)
if [[ -n $why ]]; then
    say "For the rest a Docker engine is needed, and here $why. To have one for a while, and nothing of it afterwards:"
    say "sudo scripts/docker-lab run demos/$demo"
    finish docker-view
fi

image=inception-walk-$$
afterwards 'docker image rm --force $image'
afterwards 'docker ps --quiet --all --filter ancestor=$image | xargs --no-run-if-empty docker rm --force'

say 'An image is an archive of a root directory. One program is enough for one:'
try 'tar -cC /usr bin/busybox | docker import - '"$image"
say 'A container of it, and the PID of its process 1 on the host:'
try 'c=$(docker run --detach --rm '"$image"' busybox sleep 120)
p=$(docker inspect --format '\''{{.State.Pid}}'\'' $c); grep NSpid /proc/$p/status'

say 'Five of its namespaces are its own (six, on a host with cgroup v2 alone). Its time and user namespaces are those of the
host, so its root is root of the host.'
try 'for kind in cgroup ipc mnt net pid time user uts; do
    [[ /proc/$p/ns/$kind -ef /proc/self/ns/$kind ]] && echo "$kind: ours" || echo "$kind: its own"
done'

say 'Its network is one end of a veth pair. The number of the other end is in iflink, and that end is plugged into docker0:'
try 'n=$(docker exec $c busybox cat /sys/class/net/eth0/iflink); ip -o link show master docker0 | grep "^$n:"'

say 'Root in the container lacks 27 of 41 capabilities. A seccomp filter (mode 2) checks its system calls. Mounts cover files
of the kernel:'
try 'grep -E "CapEff|Seccomp:" /proc/$p/status; awk '\''$5 ~ "^/proc/" { print $5 }'\'' /proc/$p/mountinfo'

say 'Each of these is an option of docker run. So from what is missing one can tell how a container was started:'
try 'd=$(docker run --detach --rm --network host --cap-add SYS_ADMIN --read-only '"$image"' busybox sleep 120)
docker-view --pid $(docker inspect --format '\''{{.State.Pid}}'\'' $d) | grep -E "likely|as if"'

say 'docker stop sends a SIGTERM, which a PID 1 without a handler never gets. So it waits (ten seconds, if not told
otherwise), and sends SIGKILL: 128 + 9.'
try 's=$(docker run --detach '"$image"' busybox sleep 120)
time docker stop -t 1 $s; docker inspect --format '\''{{.State.ExitCode}}'\'' $s'

finish docker-view
