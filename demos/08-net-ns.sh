#!/usr/bin/env bash
# What is a network of one's own? The walkthrough for docs/08-net-ns.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154 # the commands are shown as they are typed, and set the variables
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage "What is a network of one's own?" "$@"
needs unshare:util-linux nsenter:util-linux ip:iproute2 perl:perl-base
needs_user_namespaces

say 'Two networks: the first stands for the host, the second is a container in it.'
try 'unshare -Ur --net --mount sleep 120 &
host=$!'
settle '[[ $(readlink /proc/$host/ns/net) != "$(readlink /proc/self/ns/net)" ]] && grep -q sleep /proc/$host/comm'
try 'on_host="nsenter --user --preserve-credentials --net --mount --target $host"
$on_host unshare --net sleep 60 &
container=$!'
settle '[[ $(readlink /proc/$container/ns/net) != "$(readlink /proc/$host/ns/net)" ]] && grep -q sleep /proc/$container/comm'
try 'inside="nsenter --user --preserve-credentials --net --mount --target $container"
$on_host ip link set lo up; $on_host ip link add d0 type veth peer name d1
$on_host ip address add 10.0.0.1/24 dev d0; $on_host ip link set d0 up; $on_host ip link set d1 up'

say 'The host has devices, addresses and a route. The container has lo, which is down, and nothing else.'
try '$on_host ip -brief address; $on_host ip route'
try '$inside ip -brief address; $inside ip route; $inside ping -c 1 127.0.0.1'

say 'What a file shows depends on whose it is. /proc/net shows the network of whoever reads it. /sys shows that of whoever
mounted it, here the machine, until somebody mounts another:'
try '$inside readlink /proc/net; $inside sed -n "s/:.*//p" /proc/net/dev'
try '$inside ls /sys/class/net
$inside unshare --mount sh -c "mount -t sysfs sysfs /sys && ls /sys/class/net"'

say 'The host listens: at a port, at an abstract UNIX name, which begins with a NUL that is shown as @, and at a path.'
try '$on_host mount -t tmpfs tmpfs /tmp
$on_host perl -MIO::Socket -e '\''alarm 60;
  @doors = (IO::Socket::INET->new(LocalAddr => "0.0.0.0:8080", Listen => 1),
            map IO::Socket::UNIX->new(Local => $_, Listen => 1), "\0inception", "/tmp/door"); sleep 60'\'' &
doors=$!'
settle '$on_host grep -q /tmp/door /proc/net/unix'
say 'In the container the port is free, and the abstract name leads nowhere. What counts for the path is who sees the file:
the two share their mounts.'
try 'listen="IO::Socket::INET->new(LocalAddr => q(0.0.0.0:8080), Listen => 1) or die \$@"
$on_host perl -MIO::Socket -e "$listen; print qq(8080 is free\n)"
$inside perl -MIO::Socket -e "$listen; print qq(8080 is free\n)"'
try '$inside perl -MIO::Socket -e '\''
  for ("\0inception", "/tmp/door") { print IO::Socket::UNIX->new($_) ? "reached\n" : "$!\n" }'\'

say 'A device is in one network, and can be given away; here to the network of a process. lo cannot, nor a bridge.'
try '$on_host ip link set d0 netns $container
$on_host ip -brief link; $inside ip -brief link'
try '$on_host ip link set lo netns $container'

say 'When a network namespace ends, a physical device in it goes back to the first network namespace. A veth end is
deleted, and its peer too. (The listener ends first. It has not accepted the connection from inside, and a socket that waits
there keeps the network namespace of the caller.)'
try 'kill $doors; kill $container; wait $container'
settle '! $on_host ip link show d1'
try '$on_host ip -brief link'

say 'And what may a device be called? Whatever has no slash, colon or white space. Here is one that would clear your screen
if it were printed as it is.'
try '$on_host ip link add "$(printf "\033[2J")" type bridge && $on_host ip -brief link | cat -v'

finish net-ns
