#!/usr/bin/env bash
# What does a veth pair carry between two namespaces? The walkthrough for docs/09-veth-pair.md.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154 # the commands are shown as they are typed, and set the variables
. "$(dirname "$(readlink -f "$0")")/stage.sh"
stage 'What does a veth pair carry between two namespaces?' "$@"
needs unshare:util-linux nsenter:util-linux ip:iproute2 ping:iputils-ping
needs_user_namespaces

say 'Two processes, each in a network namespace of its own. The second is made inside the user namespace of the first, so
that the same root is master of both.'
try 'unshare -Ur --net sleep 60 &
a=$!'
settle '[[ $(readlink /proc/$a/ns/net) != "$(readlink /proc/self/ns/net)" ]] && grep -q sleep /proc/$a/comm'
try 'in_a="nsenter --user --preserve-credentials --net --target $a"
$in_a unshare --net sleep 60 &
b=$!; in_b="nsenter --user --preserve-credentials --net --target $b"'
settle '[[ $(readlink /proc/$b/ns/net) != "$(readlink /proc/$a/ns/net)" ]] && grep -q sleep /proc/$b/comm'

say 'A new network has a loopback, and it is down. There is nobody to talk to:'
try '$in_a ip -brief link; $in_a ping -c 1 10.0.0.2'

say 'A veth pair is two devices that are created together, here with an end in each namespace.'
try '$in_a ip link add a0 type veth peer name b0 netns $b
$in_a ip address add 10.0.0.1/24 dev a0; $in_a ip link set a0 up
$in_b ip address add 10.0.0.2/24 dev b0; $in_b ip link set b0 up'
settle '$in_a ip link show a0 | grep LOWER_UP && $in_b ip link show b0 | grep LOWER_UP'
try '$in_a ping -c 1 10.0.0.2; $in_b ip -brief address show b0'

say 'Set the far end down, and the near end loses its carrier. Delete it, and the near end is gone too.'
try '$in_b ip link set b0 down; $in_a ip -brief link show a0
$in_b ip link delete b0; $in_a ip -brief link show a0'

finish veth-pair
