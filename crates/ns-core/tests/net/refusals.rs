//! What the kernel refuses.

use std::os::fd::AsFd;

use libtest_mimic::Completion;
use ns_core::Errno;

use crate::bench::{Check, DONE, Net, ip, named, refused, veth_pair};

pub(crate) const CHECKS: &[(&str, Check)] = named![
    a_taken_name_is_eexist,
    what_is_not_there_is_enodev_or_none,
    without_cap_net_admin_every_change_is_eperm,
];

fn a_taken_name_is_eexist() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    let again = a.net.create_veth(&named("va"), &named("vc"), None);
    refused(again, Errno::EEXIST, "ip link add va type veth peer name vc");
    let there = a.net.create_veth(&named("vc"), &named("vb"), Some(b.file.as_fd()));
    refused(there, Errno::EEXIST, "ip link add vc type veth peer name vb netns /proc/self/fd/");
    // One name is taken, so neither end was made.
    assert_eq!(a.net.link(&named("vc")), Ok(None));
    refused(a.net.create_bridge(&named("va")), Errno::EEXIST, "ip link add va type bridge");
    DONE
}

fn what_is_not_there_is_enodev_or_none() -> Result<Completion, String> {
    let a = Net::new();
    assert_eq!((a.net.link(&named("va")), a.net.link_by_index(77)), (Ok(None), Ok(None)));
    refused(a.net.index(&named("va")), Errno::ENODEV, "ip link show va");
    refused(a.net.set_up(77), Errno::ENODEV, "ip link set if77 up");
    refused(a.net.delete(77), Errno::ENODEV, "ip link delete if77");
    refused(a.net.add_address(77, ip("10.0.0.1"), 24), Errno::ENODEV, "ip address add 10.0.0.1/24 dev if77");
    refused(a.net.wait_until_running(77), Errno::ENODEV, "ip link show if77");
    assert_eq!(a.net.wait_until_gone(77), Ok(()));
    DONE
}

fn without_cap_net_admin_every_change_is_eperm() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    let index = a.link("va").index;
    caps::drop(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap();
    let answers = [
        (
            a.net.create_veth(&named("v1"), &named("v2"), None).map(drop),
            "ip link add v1 type veth peer name v2",
        ),
        (a.net.create_dummy(&named("d0")).map(drop), "ip link add d0 type dummy"),
        (a.net.set_up(index), "ip link set va up"),
        (a.net.set_down(index), "ip link set va down"),
        (a.net.set_master(index, None), "ip link set va nomaster"),
        (a.net.set_master(index, Some(1)), "ip link set va master lo"),
        (a.net.move_to(index, b.file.as_fd()), "ip link set va netns /proc/self/fd/"),
        (a.net.rename(index, &named("vx")), "ip link set va name vx"),
        (a.net.delete(index), "ip link delete va"),
        (a.net.add_address(index, ip("fd00::1"), 64), "ip address add fd00::1/64 dev va nodad"),
        (a.net.delete_address(index, ip("10.0.0.1"), 24), "ip address delete 10.0.0.1/24 dev va"),
        (a.net.add_route(Some((ip("10.9.0.0"), 16)), None, index), "ip route add 10.9.0.0/16 dev va"),
        (a.net.delete_route(None, Some(ip("fd00::2")), index), "ip route delete default via fd00::2 dev va"),
    ];
    let looked = a.net.links().map(|links| links.len());
    caps::raise(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap();
    for (answer, call) in answers {
        refused(answer, Errno::EPERM, call);
    }
    assert_eq!(looked, a.net.links().map(|links| links.len()));
    DONE
}
