#!/bin/sh
# A veth pair between two network namespaces, addresses, and a packet through it, by ip(8) and ping(8). In a user, a mount
# and a network namespace, which end with it: unshare -Urnm sh veth.sh
set -e
mount -t tmpfs none /run
ip netns add a
ip netns add b
ip -n a link add a0 type veth peer name b0 netns b
ip -n a address add 10.0.0.1/24 dev a0
ip -n b address add 10.0.0.2/24 dev b0
ip -n a link set a0 up
ip -n b link set b0 up
ip netns exec a ping -q -c 1 10.0.0.2
