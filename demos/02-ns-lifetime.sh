#!/usr/bin/env bash
# When does a namespace die? The walkthrough for docs/02-ns-lifetime.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154 # the commands are shown as they are typed, and set the variables
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'When does a namespace die?' "$@"
needs unshare:util-linux nsenter:util-linux ip:iproute2 perl:perl-base
needs_user_namespaces

say 'A namespace that has no process has no entry in /proc either. But a user namespace counts what it owns, and may be
told how many it may have. This one may have a single UTS namespace, so the kernel says whether that one lives:'
try 'unshare -Ur --mount sleep 120 &
office=$!'
settle 'grep -q sleep /proc/$office/comm'
try 'in="nsenter --user --preserve-credentials --mount --target $office"
$in sh -c "echo 1 > /proc/sys/user/max_uts_namespaces"'
try '$in unshare --uts sleep 60 &
member=$!'
settle 'grep -q sleep /proc/$member/comm'
try '$in unshare --uts true'

say 'No room: it lives. We open it, by its link in /proc, and let its only process end.'
try 'exec 3< /proc/$member/ns/uts
kill $member; wait $member'
try '$in unshare --uts true'
say 'Still no room. Nobody is in it, but descriptor 3 holds it. We close that, and there is room: the namespace is gone.'
try 'exec 3<&-
$in unshare --uts true && echo room'

say 'A bind mount holds a namespace as a descriptor does, and gives it a name. It can be entered by that, though nobody is
in it.'
try '$in sh -c "mount -t tmpfs tmpfs /tmp; touch /tmp/kept; unshare --uts=/tmp/kept hostname kept"
$in nsenter --uts=/tmp/kept hostname'
try '$in umount /tmp/kept; $in unshare --uts true && echo room'

say 'Now for a namespace that nothing holds, as far as one can see. A host with a network, and a container with another; a
veth pair between them, and an address at each end.'
try 'unshare -Ur --net sleep 120 &
host=$!'
settle 'grep -q sleep /proc/$host/comm'
try 'on_host="nsenter --user --preserve-credentials --net --target $host"
$on_host unshare --net sleep 60 &
container=$!'
settle 'grep -q sleep /proc/$container/comm'
try 'inside="nsenter --user --preserve-credentials --net --target $container"
$on_host ip link add out type veth peer name in netns $container
$on_host ip link set out up; $on_host ip address add 10.0.0.1/24 dev out
$inside ip link set in up; $inside ip address add 10.0.0.2/24 dev in'
settle '$on_host ip link show out | grep LOWER_UP && $inside ip link show in | grep LOWER_UP'

say 'A program on the host listens. One in the container connects, and stays for as long as the pipe at its standard input.'
try '$on_host perl -MIO::Socket -e '\''$l = IO::Socket::INET->new(LocalAddr => "10.0.0.1:8080", Listen => 1);
  $c = $l->accept; sleep 120'\'' &'
settle '$on_host grep -q "0100000A:1F90 00000000:0000 0A" /proc/self/net/tcp'
try 'exec 4> >($inside bash -c "exec 3<>/dev/tcp/10.0.0.1/8080; cat")'
settle '$inside grep -q "0100000A:1F90 01" /proc/self/net/tcp'

say 'The host gives up its address, so that it does not hear. Then the program closes its connection, and all processes of
the container end. (State 04 is FIN_WAIT1: the end of the connection is sent, and nobody says that it has arrived.)'
try '$on_host ip address delete 10.0.0.1/24 dev out
exec 4>&-'
settle '$inside grep -q "0100000A:1F90 04" /proc/self/net/tcp'
try '$inside cut -c 1-37 /proc/self/net/tcp
kill $container; wait $container'
# Another one that ends after it, and is gone: the kernel has come past.
settle '$on_host sh -c "unshare --net sleep 60 & sleep 0.1; ip link add fence type veth peer name in netns \$!; kill \$!"'
settle '! $on_host ip link show fence'
try '$on_host ip -brief link show out'

say 'No process, no descriptor, no mount; but its end of the veth pair is there, or ours would not be. The orphaned socket
holds it all. Give the host its address back, so that it hears and answers:'
try '$on_host ip address add 10.0.0.1/24 dev out'
settle '! $on_host ip link show out'
try '$on_host ip -brief link show out'

finish ns-lifetime
