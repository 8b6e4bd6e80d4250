//! Packets that flow, or do not.

use std::os::fd::AsFd;

use libtest_mimic::Completion;

use crate::bench::{Check, DONE, Net, ip, named, send, veth_pair, wait_for_both};

pub(crate) const CHECKS: &[(&str, Check)] = named![
    packets_flow_both_ways_and_are_counted,
    the_first_packet_after_the_wait_is_not_lost,
    a_neighbour_that_is_known_is_not_asked_for,
    two_ports_of_a_bridge_forward_and_nomaster_stops_it,
    a_port_of_a_bridge_that_is_down_is_disabled,
];

fn packets_flow_both_ways_and_are_counted() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    wait_for_both(&a, &b);
    let (at_a, at_b) = (a.udp("10.0.0.1"), b.udp("10.0.0.2"));
    let before = (a.link("va"), b.link("vb"));
    assert_eq!(send("there", &at_a, &at_b), "there");
    assert_eq!(send("back", &at_b, &at_a), "back");
    let after = (a.link("va"), b.link("vb"));
    assert!(
        after.0.tx_packets > before.0.tx_packets && after.0.rx_packets > before.0.rx_packets,
        "{after:?}"
    );
    assert!(
        after.1.tx_packets > before.1.tx_packets && after.1.rx_packets > before.1.rx_packets,
        "{after:?}"
    );
    DONE
}

fn the_first_packet_after_the_wait_is_not_lost() -> Result<Completion, String> {
    for round in 0..50 {
        let (a, b) = veth_pair();
        a.enter();
        // With one ARP request allowed and no second after 1 s, a lost one is a lost packet.
        let limit = "/proc/sys/net/ipv4/neigh/va/mcast_solicit";
        if let Err(error) = std::fs::write(limit, "1") {
            return Ok(Completion::ignored_with(format!("echo 1 > {limit}: {error}")));
        }
        wait_for_both(&a, &b);
        let (at_a, at_b) = (a.udp("10.0.0.1"), b.udp("10.0.0.2"));
        assert_eq!(send("first", &at_a, &at_b), "first", "round {round}");
    }
    DONE
}

fn a_neighbour_that_is_known_is_not_asked_for() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    for (side, name) in [(&a, "va"), (&b, "vb")] {
        side.net.keep_quiet(side.link(name).index).unwrap();
    }
    let va = a.equip("va", "10.0.0.1");
    b.equip("vb", "10.0.0.2");
    wait_for_both(&a, &b);
    a.net.add_neighbour(va, ip("10.0.0.2"), b.link("vb").address.unwrap()).unwrap();
    a.enter();
    let table = std::fs::read_to_string("/proc/self/net/arp").unwrap();
    // Complete (0x2) and permanent (0x4), before a single packet went.
    assert!(table.lines().any(|line| line.starts_with("10.0.0.2 ") && line.contains(" 0x6 ")), "{table}");
    assert!(a.net.addresses().unwrap().iter().all(|address| address.address.is_ipv4()));
    assert_eq!(send("first", &a.udp("10.0.0.1"), &b.udp("10.0.0.2")), "first");
    DONE
}

/// h1 (10.0.0.1) and h2 (10.0.0.2), each at the end of a veth pair whose other end, p1 or p2, is a port of br0.
pub(crate) fn two_hosts_and_a_bridge() -> (Net, Net, Net) {
    let (middle, left, right) = (Net::new(), Net::new(), Net::new());
    let bridge = middle.net.create_bridge(&named("br0")).unwrap();
    middle.net.set_up(bridge).unwrap();
    for (host, port, name, address) in [(&left, "p1", "va", "10.0.0.1"), (&right, "p2", "vb", "10.0.0.2")] {
        let index = middle.net.create_veth(&named(port), &named(name), Some(host.file.as_fd())).unwrap();
        middle.net.set_master(index, Some(bridge)).unwrap();
        middle.net.set_up(index).unwrap();
        host.equip(name, address);
    }
    (middle, left, right)
}

fn two_ports_of_a_bridge_forward_and_nomaster_stops_it() -> Result<Completion, String> {
    let (middle, left, right) = two_hosts_and_a_bridge();
    wait_for_both(&left, &right);
    let bridge = middle.link("br0");
    for name in ["p1", "p2"] {
        let port = middle.net.wait_until_forwarding(middle.link(name).index).unwrap();
        assert_eq!((port.master, port.port_state.as_deref()), (Some(bridge.index), Some("forwarding")));
    }
    assert_eq!(middle.net.wait_until_running(bridge.index).unwrap().kind.as_deref(), Some("bridge"));
    let (at_left, at_right) = (left.udp("10.0.0.1"), right.udp("10.0.0.2"));
    assert_eq!(send("attached", &at_left, &at_right), "attached");

    let port = middle.link("p2").index;
    middle.net.set_master(port, None).unwrap();
    let detached = middle.link("p2");
    assert_eq!((detached.master, detached.port_state), (None, None));
    at_left.send_to(b"detached", at_right.local_addr().unwrap()).unwrap();

    middle.net.set_master(port, Some(bridge.index)).unwrap();
    middle.net.wait_until_forwarding(port).unwrap();
    // What was sent before would have come before.
    assert_eq!(send("attached again", &at_left, &at_right), "attached again");
    DONE
}

fn a_port_of_a_bridge_that_is_down_is_disabled() -> Result<Completion, String> {
    let (middle, left, right) = two_hosts_and_a_bridge();
    wait_for_both(&left, &right);
    let (bridge, port) = (middle.link("br0").index, middle.link("p1").index);
    middle.net.wait_until_forwarding(port).unwrap();
    middle.net.set_down(bridge).unwrap();
    let disabled = middle.net.wait_until_running(port).unwrap();
    assert_eq!(disabled.port_state.as_deref(), Some("disabled"));
    middle.net.set_up(bridge).unwrap();
    middle.net.wait_until_forwarding(port).unwrap();
    DONE
}
